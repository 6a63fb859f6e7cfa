"""Rows of a small bottleneck store, for tests; a key is only a number here."""

from collections.abc import Sequence

import pyarrow as pa

from tasks.paths import AnyPath
from tasks.shards.schemas import bottleneck_schema, describe
from tasks.shards.store import ShardStore

WIDTH = 3


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


def open_store(folder: AnyPath) -> ShardStore:
    return ShardStore(
        folder, describe(bottleneck_schema(WIDTH, "int16"), "bottleneck", "cafe", {"views": 2}), rows_per_group=4
    )
