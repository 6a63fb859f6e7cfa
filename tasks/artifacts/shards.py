"""One shard, once it is open: its keys, its rows, and how an error names it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts.key_index import KeyIndex, Places
from tasks.errors import StoreError

#: In the metadata of a shard that others were merged into: their names, as JSON.
MERGED = b"merged"


class ShardGoneError(StoreError):
    """A shard is not there any more."""


def merged_into(file: pq.ParquetFile) -> list[str]:
    """Names of the shards whose rows a shard has taken over."""
    names: list[str] = json.loads((file.schema_arrow.metadata or {}).get(MERGED, b"[]"))
    return names


def places_in(shard: Path, file: pq.ParquetFile, index: KeyIndex) -> Places:
    """Place of each row's key among those wanted, int64 [N]; -1 where it is not wanted."""
    with reading(shard):
        return index.places(file.read(["sha256"], use_threads=False).column("sha256"))


def rows_in(
    shard: Path, file: pq.ParquetFile, take: npt.NDArray[np.bool_], columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    """Read the rows to be taken, bool [N], of each row group that has any."""
    start = 0
    for group in range(file.num_row_groups):
        here = take[start : start + file.metadata.row_group(group).num_rows]
        start += len(here)
        if here.any():
            with reading(shard):
                rows = file.read_row_group(group, columns)
            yield rows if here.all() else rows.filter(pa.array(here))


@contextmanager
def reading(shard: Path) -> Iterator[None]:
    """Name the shard in an error; the manifests must go too, since they say that the shard is there.

    Raises:
        ShardGoneError: The shard is gone.
        StoreError: It is damaged.
    """
    try:
        yield
    except FileNotFoundError as exc:
        raise ShardGoneError(
            f"{shard} is gone. Delete the folder manifests of its store; the next run writes its rows again."
        ) from exc
    except (ValueError, OSError) as exc:  # pyarrow's ArrowInvalid is a ValueError
        raise StoreError(
            f"{shard} is damaged ({exc}). Delete it and the folder manifests of its store; "
            "the next run writes its rows again."
        ) from exc
