"""Rows and manifests of a small bottleneck store, for tests; a key is only a number here."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.paths import AnyPath
from tasks.shards.manifests import Manifest, read_manifest
from tasks.shards.schemas import bottleneck_schema, describe
from tasks.shards.store import ShardStore
from tasks.storage.layout import manifest_path

WIDTH = 3
#: Views of a photo in `seven_shards`.
VIEWS = 2
MANIFEST = Manifest(
    stage="decode",
    run="2026-01-31-cafe",
    seconds=12.345,
    startup={"imports": 2.5},
    key="0123456789abcdef",
    snapshot="fedcba9876543210",
    settings={"size": 288, "label": "Gänseblümchen"},
    photos=120,
    new=20,
    reused=100,
    shards=("part-a.parquet", "part-b.parquet"),
    details={"reasons": {"truncated": 2}},
)


def key(number: int) -> str:
    return f"{number:064x}"


def keys(*numbers: int) -> pa.Array:
    return pa.array([key(number) for number in numbers], pa.string())


def bottlenecks(numbers: Sequence[int], views: int = 1, first: int = 0) -> pa.Table:
    """Rows of these keys, each view beside the others; every vector says which key and view it is of."""
    rows = [(number, view) for number in numbers for view in range(views)]
    return pa.table(
        {
            "sha256": [key(number) for number, _ in rows],
            "view": pa.array([view for _, view in rows], pa.int8()),
            "bottleneck": [[first, number, view] for number, view in rows],
        }
    )


def rows_of(table: pa.Table) -> list[tuple[int, int]]:
    return sorted((int(row["sha256"], 16), row["view"]) for row in table.to_pylist())


def open_store(folder: AnyPath, dtype: str = "int16") -> ShardStore:
    schema = describe(bottleneck_schema(WIDTH, dtype), "bottleneck", "cafe", {"views": 2})
    return ShardStore(folder, schema, rows_per_group=4)


def rows_at(
    store: ShardStore, numbers: Sequence[int], shards: Sequence[AnyPath] | None = None
) -> list[tuple[int, int]]:
    """Keys and views of the rows that are read of these keys, once each vector is known to be theirs."""
    table = pa.concat_tables([store.schema.empty_table(), *store.rows(keys(*numbers), shards=shards)])
    for row in table.to_pylist():
        assert row["bottleneck"][1:] == [int(row["sha256"], 16), row["view"]]
    return rows_of(table)


def publish_manifest(store: ShardStore, snapshot: str, shards: Iterable[AnyPath]) -> AnyPath:
    """Publish the manifest of a snapshot, in these shards."""
    path = manifest_path(store.folder, snapshot)
    replace(MANIFEST, snapshot=snapshot, shards=tuple(shard.name for shard in shards)).publish(path)
    return path


def seven_shards(folder: AnyPath) -> ShardStore:
    """A store of seven small shards, with manifests of a snapshot that has all of them and of one that has two."""
    store = open_store(folder)
    shards = [store.append(bottlenecks(range(start, start + 3), VIEWS)) for start in range(0, 21, 3)]
    publish_manifest(store, "all", shards)
    publish_manifest(store, "two", shards[:2])
    return store


def named(store: ShardStore, snapshot: str) -> list[AnyPath]:
    """The shards that a snapshot's manifest names."""
    return [store.folder / name for name in read_manifest(manifest_path(store.folder, snapshot)).shards]


def every_view(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Keys and views of these photos in `seven_shards`."""
    return [(number, view) for number in numbers for view in range(VIEWS)]


def counts(store: ShardStore) -> list[int]:
    return sorted(pq.read_metadata(shard).num_rows for shard in store.shards())


def flip_a_bit(shard: AnyPath, column: int) -> AnyPath:
    """Damage the last byte of a column's first chunk, which is a number of its last page."""
    damaged = bytearray(shard.read_bytes())
    chunk = pq.read_metadata(pa.BufferReader(bytes(damaged))).row_group(0).column(column)
    damaged[(chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size - 1] ^= 1
    shard.write_bytes(bytes(damaged))
    return shard
