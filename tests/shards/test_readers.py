"""Shards open in the tools that people have: pandas, DuckDB, Polars, and plain pyarrow with the metadata."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tasks.shards.schemas import DECODE, REJECTED, bottleneck_schema, describe
from tasks.shards.store import ShardStore

KEYS = [f"{number:064x}" for number in range(6)]
PATH = "Gänseblümchen/蒲 公英.jpg"
SETTINGS = {"size": 288, "name": "Größe"}
ROWS: dict[str, list[dict[str, Any]]] = {
    "decode": [
        {
            "sha256": key,
            "image": {"bytes": b"\xff\xd8" + key.encode(), "path": f"{key}.jpg"},
            "width": 320,
            "height": 240,
            "format": "JPEG",
            "mode": "RGB",
        }
        for key in KEYS
    ],
    "rejected": [{"sha256": key, "path": PATH, "reason": "truncated", "message": "cut"} for key in KEYS],
    "bottleneck": [
        {"sha256": key, "view": view, "bottleneck": [5, place, view]}
        for place, key in enumerate(KEYS)
        for view in range(2)
    ],
}
ROWS["int16"] = ROWS["bottleneck"]
SCHEMAS = {
    "decode": DECODE,
    "rejected": REJECTED,
    "bottleneck": bottleneck_schema(3, "uint8"),
    "int16": bottleneck_schema(3, "int16"),
}


@pytest.fixture(params=SCHEMAS)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(stage: str, tmp_path: Path) -> ShardStore:
    """A store of two shards, and the temporary file of a third that is being written."""
    store = ShardStore(tmp_path / stage, describe(SCHEMAS[stage], stage, "cafe", SETTINGS), 4)
    table = pa.Table.from_pylist(ROWS[stage], SCHEMAS[stage])
    store.append(table.slice(0, 4))
    store.append(table.slice(4))
    (store.folder / ".tmp-part.parquet-0123").touch()
    return store


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["sha256"], row.get("view", 0)))


def ask(query: str) -> duckdb.DuckDBPyRelation:
    answer = duckdb.sql(query)
    assert answer is not None
    return answer


def test_pandas_reads_a_store(store: ShardStore, stage: str) -> None:
    frame = pd.read_parquet(store.shards())
    rows: list[dict[str, Any]] = frame.to_dict("records")
    if stage in ("bottleneck", "int16"):
        rows = [row | {"bottleneck": row["bottleneck"].tolist()} for row in rows]
    assert in_order(rows) == in_order(ROWS[stage])


def test_duckdb_reads_a_store(store: ShardStore, stage: str) -> None:
    rows = ask(f"select * from '{store.folder}/*.parquet'").to_arrow_table().to_pylist()  # noqa: S608 (a test's path)
    assert in_order(rows) == in_order(ROWS[stage])


def test_duckdb_shows_the_metadata(store: ShardStore, stage: str) -> None:
    pairs = ask(f"select key, value from parquet_kv_metadata('{store.shards()[0]}')").fetchall()  # noqa: S608 (as above)
    metadata = {bytes(key).decode(): bytes(value) for key, value in pairs}
    assert metadata["stage"].decode() == stage


def test_polars_reads_a_store(store: ShardStore, stage: str) -> None:
    assert in_order(pl.read_parquet(f"{store.folder}/*.parquet").to_dicts()) == in_order(ROWS[stage])


def test_pyarrow_reads_a_folder_of_shards(store: ShardStore, stage: str) -> None:
    assert in_order(ds.dataset(store.folder).to_table().to_pylist()) == in_order(ROWS[stage])


def test_every_shard_says_what_made_it(store: ShardStore, stage: str) -> None:
    for shard in store.shards():
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"schema_version"] == b"1"
        assert (metadata[b"stage"].decode(), metadata[b"key"]) == (stage, b"cafe")
        assert json.loads(metadata[b"settings"]) == SETTINGS
