"""One shard, once it is open: its keys, its rows, and how an error names it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.paths import AnyPath, is_remote
from tasks.shards.key_index import KeyIndex, Places
from tasks.shards.parquet import shard_name
from tasks.storage import local_cache
from tasks.storage.errors import DamagedError

#: In the metadata of a shard that others were merged into: their names, as JSON.
MERGED = b"merged"
_OTHER_BYTES = "its bytes are not those that it is named after"
#: Shards whose bytes were found to be what they are named after: path, inode, bytes, mtime.
_whole: set[tuple[AnyPath, int, int, int]] = set()


class ShardGoneError(DamagedError):
    """A shard is not there any more."""


class Opened(NamedTuple):
    """A shard that was looked into.

    Args:
        shard: The shard.
        file: It, open.
        places: Of each row's key among those wanted, int64 [N], -1 where it is not; empty where none are asked for.
    """

    shard: AnyPath
    file: pq.ParquetFile
    places: Places

    @property
    def mostly_wanted(self) -> bool:
        """Whether half of its rows or more are."""
        return bool(2 * np.count_nonzero(self.places >= 0) >= len(self.places) > 0)


def merged_into(file: pq.ParquetFile) -> list[str]:
    """Names of the shards whose rows a shard has taken over."""
    names: list[str] = json.loads((file.schema_arrow.metadata or {}).get(MERGED, b"[]"))
    return names


def places_in(shard: AnyPath, file: pq.ParquetFile, index: KeyIndex) -> Places:
    """Place of each row's key among those wanted, int64 [N]; -1 where it is not wanted."""
    with reading(shard):
        return index.places(file.read(["sha256"], use_threads=False).column("sha256"))


def rows_in(
    shard: AnyPath, file: pq.ParquetFile, take: npt.NDArray[np.bool_], columns: Sequence[str] | None
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
def reading(shard: AnyPath) -> Iterator[None]:
    """Name the shard in an error; the manifests must go too, since they say that the shard is there.

    Raises:
        ShardGoneError: The shard is gone.
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
        # Bytes that are as they were written are not to blame: a disk that cannot be read, or memory that is short.
        # An object store's library tells of a refusal as others do of damage.
        doubtful = isinstance(exc, MemoryError) or (isinstance(exc, OSError) and is_remote(shard))
        if getattr(exc, "errno", None) is not None or (doubtful and is_whole(shard)):
            raise
        raise damaged(shard, f"{exc}") from exc


def is_whole(shard: AnyPath) -> bool:
    """Whether a shard's bytes are those that it is named after."""
    if is_remote(shard):
        with local_cache.fetched(shard) as copy:
            return _is_named_after(shard, copy)
    return _is_named_after(shard, shard)


def check_whole(shard: AnyPath) -> None:
    """Compare a shard's bytes with its name; once is enough for as long as the process runs and the file is the same.

    The checksums of its pages do not cover their headers, nor the file's footer: of 39,968 bits of a small shard 41
    could be flipped and give other rows without an error.

    A shard that is gone passes: whoever has it open still can read it, and a compaction has checked it before.

    Raises:
        DamagedError: They are others.
    """
    try:
        status = shard.stat()
        found = (shard, status.st_ino, status.st_size, status.st_mtime_ns)
        if found not in _whole and not is_whole(shard):
            raise damaged(shard, _OTHER_BYTES)
    except FileNotFoundError:
        return
    _whole.add(found)


def make_whole(found: Opened | ShardGoneError) -> Opened | ShardGoneError:
    """Check all bytes of a shard that is mostly wanted; any other one is handed on as it is.

    Of an object store it is fetched as one, and the file that was open is closed. There it may be gone by now.

    Raises:
        DamagedError: Its bytes are not those that it is named after.
    """
    if isinstance(found, ShardGoneError) or not found.mostly_wanted:
        return found
    try:
        return found._replace(file=open_whole(found.shard, found.file))
    except ShardGoneError as exc:
        return exc
    except BaseException:
        found.file.close(force=True)
        raise


def uncompressed_bytes(found: Opened | ShardGoneError) -> int:
    """About how many bytes `make_whole` fetches of a shard on an object store."""
    if isinstance(found, ShardGoneError) or not found.mostly_wanted:
        return 0
    metadata = found.file.metadata
    return sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))


def open_whole(shard: AnyPath, file: pq.ParquetFile) -> pq.ParquetFile:
    """Check all bytes of a shard that is open; of an object store it is fetched as one, and `file` closed.

    Raises:
        ShardGoneError: It is gone from the object store.
        DamagedError: Its bytes are not those that it is named after.
    """
    if not is_remote(shard):
        check_whole(shard)
        return file
    file.close(force=True)
    with reading(shard), local_cache.fetched(shard) as copy:
        if not _is_named_after(shard, copy):
            raise damaged(shard, _OTHER_BYTES)
        # One of arrow's own: it is closed with the last that knows it, also where nobody comes to read it.
        return pq.ParquetFile(pa.OSFile(str(copy)), page_checksum_verification=True)


def _is_named_after(shard: AnyPath, copy: AnyPath) -> bool:
    with copy.open("rb") as file:
        return shard.name == shard_name(file)


def damaged(shard: AnyPath, why: str) -> DamagedError:
    """The error that says that a shard is damaged."""
    return DamagedError(
        shard,
        f"{shard} is damaged ({why}). Delete it and the folder manifests of its store; the next run writes its rows "
        "again.",
    )
