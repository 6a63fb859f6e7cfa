"""Shards open in the tools that people have: pandas, DuckDB, Polars, and plain pyarrow with the metadata."""

import json
from collections.abc import Callable
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
SCHEMAS = {"decode": DECODE, "rejected": REJECTED, "bottleneck": bottleneck_schema(3, "uint8")}


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
    """Rows by key and view, with vectors as lists."""
    plain = [{name: [*cell] if name == "bottleneck" else cell for name, cell in row.items()} for row in rows]
    return sorted(plain, key=lambda row: (row["sha256"], row.get("view", 0)))


def ask(query: str) -> duckdb.DuckDBPyRelation:
    answer = duckdb.sql(query)
    assert answer is not None
    return answer


#: Each reads all rows of a store.
READERS: dict[str, Callable[[ShardStore], list[dict[str, Any]]]] = {
    "pandas": lambda store: pd.read_parquet(store.shards()).to_dict("records"),
    "DuckDB": lambda store: ask(f"select * from '{store.folder}/*.parquet'").to_arrow_table().to_pylist(),  # noqa: S608 (a test's path)
    "Polars": lambda store: pl.read_parquet(f"{store.folder}/*.parquet").to_dicts(),
    "pyarrow": lambda store: ds.dataset(store.folder).to_table().to_pylist(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_store_opens_in_the_tools_that_people_have(store: ShardStore, stage: str, reader: str) -> None:
    assert in_order(READERS[reader](store)) == in_order(ROWS[stage])


def test_pyarrow_and_duckdb_read_the_metadata_of_every_shard(store: ShardStore, stage: str) -> None:
    for shard in store.shards():
        metadata = pq.read_schema(shard).metadata
        assert metadata[b"schema_version"] == b"1"
        assert (metadata[b"stage"].decode(), metadata[b"key"]) == (stage, b"cafe")
        assert json.loads(metadata[b"settings"]) == SETTINGS
        pairs = ask(f"select key, value from parquet_kv_metadata('{shard}')").fetchall()  # noqa: S608 (as above)
        assert (b"stage", stage.encode()) in {(bytes(key), bytes(value)) for key, value in pairs}
