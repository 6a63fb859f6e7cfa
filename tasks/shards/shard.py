"""Reads one open shard: its keys and rows, and errors that name it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.paths import AnyPath
from tasks.shards.key_index import KeyIndex, Places
from tasks.shards.parquet import shard_name
from tasks.storage.errors import DamagedError
from tasks.storage.files import storage_at

#: Metadata of a merged shard: the names of the shards it replaces, as JSON.
MERGED = b"merged"
#: Rows that are decoded at once: Arrow decodes 8-bit numbers by way of 32 bits, which takes four times their memory.
_BATCH_ROWS = 512
_OTHER_BYTES = "its bytes are not those that it is named after"
#: Shards that were checked by `check_intact`: path, inode, bytes, mtime.
_intact: set[tuple[AnyPath, int, int, int]] = set()


class ShardGoneError(DamagedError):
    """A shard is missing."""


class Opened(NamedTuple):
    """An open shard."""

    shard: AnyPath  #: Path of the shard.
    file: pq.ParquetFile  #: The open file.
    #: Place of each row's key among the wanted keys, int64 [N], -1 if not wanted; empty without an index.
    places: Places

    @property
    def mostly_wanted(self) -> bool:
        """Whether half of the rows or more are wanted."""
        return bool(2 * np.count_nonzero(self.places >= 0) >= len(self.places) > 0)


def merged_into(file: pq.ParquetFile) -> list[str]:
    """Names of the shards that a merged shard replaces."""
    names: list[str] = json.loads((file.schema_arrow.metadata or {}).get(MERGED, b"[]"))
    return names


def places_in(shard: AnyPath, file: pq.ParquetFile, index: KeyIndex) -> Places:
    """Place of each row's key among the wanted keys, int64 [N]; -1 if it is not wanted."""
    with reading(shard):
        return index.places(file.read(["sha256"], use_threads=False).column("sha256"))


def rows_in(
    shard: AnyPath, file: pq.ParquetFile, take: npt.NDArray[np.bool_], columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    """Read the rows where `take`, bool [N], is true, at most `_BATCH_ROWS` at a time."""
    start = 0
    for group in range(file.num_row_groups):
        here = take[start : start + file.metadata.row_group(group).num_rows]
        start += len(here)
        batches = file.iter_batches(_BATCH_ROWS, [group], columns) if here.any() else iter(())
        while (batch := _next_batch(shard, batches)) is not None:
            wanted, here = np.split(here, [len(batch)])
            if wanted.any():
                rows = pa.Table.from_batches([batch])
                yield rows if wanted.all() else rows.filter(pa.array(wanted))


def _next_batch(shard: AnyPath, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with reading(shard):
        return next(batches, None)


@contextmanager
def reading(shard: AnyPath) -> Iterator[None]:
    """Name the shard in errors. The manifests have to be deleted too, since they name the shard.

    Raises:
        ShardGoneError: The shard is missing.
        DamagedError: It is damaged.
        OSError: The disk cannot be read.
    """
    try:
        yield
    except FileNotFoundError as exc:
        raise ShardGoneError(
            shard, f"{shard} is gone. Delete the folder manifests of its store; the next run writes its rows again."
        ) from exc
    except (pa.ArrowException, MemoryError, OSError, OverflowError, ValueError) as exc:
        # Intact bytes are not to blame: the disk cannot be read, or memory is short. The libraries of object stores
        # raise the same error for a refused request as for damage.
        doubtful = isinstance(exc, MemoryError) or (isinstance(exc, OSError) and storage_at(shard).reads_are_requests)
        if getattr(exc, "errno", None) is not None or (doubtful and is_intact(shard)):
            raise
        raise damaged(shard, f"{exc}") from exc


def is_intact(shard: AnyPath) -> bool:
    """Whether a shard is named after its bytes."""
    with storage_at(shard).fetched(shard) as copy:
        return shard.name == shard_name(copy)


def check_intact(shard: AnyPath) -> None:
    """Compare a shard's bytes with its name, once per process and version of the file.

    The checksums of pages cover neither their headers nor the footer: of 39,968 bits of a small shard 41 could be
    flipped and give other rows without an error. A missing shard passes: an open file stays readable, and the
    compaction that removed the shard has checked it.

    Raises:
        DamagedError: The shard is not named after its bytes.
    """
    try:
        status = shard.stat()
        found = (shard, status.st_ino, status.st_size, status.st_mtime_ns)
        if found not in _intact and not is_intact(shard):
            raise damaged(shard, _OTHER_BYTES)
    except FileNotFoundError:
        return
    _intact.add(found)


def verify_opened(found: Opened | ShardGoneError) -> Opened | ShardGoneError:
    """Check all bytes of a shard if it is mostly wanted; see `open_intact`.

    Raises:
        DamagedError: The shard is not named after its bytes.
    """
    if isinstance(found, ShardGoneError) or not found.mostly_wanted:
        return found
    try:
        return found._replace(file=open_intact(found.shard, found.file))
    except ShardGoneError as exc:
        return exc
    except BaseException:
        found.file.close(force=True)
        raise


def uncompressed_bytes(found: Opened | ShardGoneError) -> int:
    """Estimate the number of bytes that `verify_opened` fetches from an object store."""
    if isinstance(found, ShardGoneError) or not found.mostly_wanted:
        return 0
    metadata = found.file.metadata
    return sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))


def open_intact(shard: AnyPath, file: pq.ParquetFile) -> pq.ParquetFile:
    """Check all bytes of an open shard; one of an object store is fetched whole, and `file` is closed.

    Raises:
        ShardGoneError: It is missing from the object store.
        DamagedError: The shard is not named after its bytes.
    """
    storage = storage_at(shard)
    if not storage.reads_are_requests:
        check_intact(shard)
        return file
    file.close(force=True)
    with reading(shard), storage.fetched(shard) as copy:
        if shard.name != shard_name(copy):
            raise damaged(shard, _OTHER_BYTES)
        # A file of arrow's own is closed with the last reference to it.
        return pq.ParquetFile(pa.OSFile(str(copy)), page_checksum_verification=True)


def damaged(shard: AnyPath, why: str) -> DamagedError:
    """Error for a damaged shard, with the remedy."""
    return DamagedError(
        shard,
        f"{shard} is damaged ({why}). Delete it and the folder manifests of its store; the next run writes its rows "
        "again.",
    )
