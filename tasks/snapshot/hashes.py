"""The hashes of a dataset's files: read what is new, and recall what the last snapshot read."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Semaphore

import pyarrow as pa
import pyarrow.compute as pc

from tasks.concurrency import map_ordered
from tasks.events import escape_control_characters
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.object_walk import cannot_be_had
from tasks.snapshot.photo_io import photo_sha256
from tasks.storage.files import storage_at
from tasks.storage.remote_listing import AT_ONCE, StoreUnreachableError

#: One row a file: what is recalled for a file whose size and version are still the same; see `PhotoFile`.
HASHES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

#: A file that is modified again this soon may keep its mtime and ctime: FAT counts in steps of two seconds.
RACY_NS = 2_000_000_000

# Files that a thread takes at once: enough that a million need few futures, few enough that progress is seen.
_CHUNK = 64
# Objects of more bytes, and how many of them are read at once: each is in memory while it comes.
_LARGE, _LARGE_AT_ONCE = 4 * 2**20, 4
_NAMED = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Hashed:
    """The files of a dataset with their hashes.

    Args:
        table: Columns of `HASHES`, in the order of the files given; those that could not be read have no row.
        read: How many files were read, recalled ones not among them.
        unreadable_paths: Those that are there but could not be read.
    """

    table: pa.Table
    read: int
    unreadable_paths: tuple[str, ...]

    @property
    def unreadable(self) -> int:
        """How many are there but could not be read."""
        return len(self.unreadable_paths)


def read_hashes(path: AnyPath) -> pa.Table | None:
    """Read the hashes that the last snapshot left.

    They only spare work: where the file is damaged, that is logged, and all is read again. So it is where another
    version of this project wrote it.

    Returns:
        A table of `HASHES`, or None where there is none of use.
    """
    try:
        table = read_parquet(path)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as exc:
        _log.warning("The known hashes in %s are damaged (%s): every photo is hashed again.", path, exc)
        return None
    if not table.schema.equals(HASHES):
        _log.info("The known hashes in %s are of another version: every photo is hashed again, once.", path)
        return None
    return table


def hash_files(root: AnyPath, files: Sequence[PhotoFile], known: pa.Table | None, progress: Progress) -> Hashed:
    """Hash files, but recall the hash of each whose size and version are known.

    A file that vanished is left out; one that cannot be read is left out, counted and logged. Of an object store each
    is one request, and many are under way at once.

    Args:
        root: The dataset's folder.
        files: What `list_files` found there.
        known: What `drop_racy` kept of an earlier table, or None.
        progress: Told of the files that are read.

    Raises:
        DatasetError: Their object store cannot be had.
    """
    table = _tabulate(files)
    recalled = _recall(table, known)
    places = [place for place, key in enumerate(recalled) if key is None]
    unreadable: list[tuple[str, OSError]] = []
    read = 0
    for place, result in zip(places, _read(root, [files[place] for place in places], progress), strict=True):
        if isinstance(result, str):
            recalled[place] = result
            read += 1
        elif not isinstance(result, FileNotFoundError | NotADirectoryError):
            unreadable.append((files[place].path, result))
    _warn(unreadable)
    column = pa.array(recalled, pa.string())
    table = table.append_column(HASHES.field("sha256"), column).filter(column.is_valid())
    return Hashed(table.cast(HASHES), read, tuple(path for path, _ in unreadable))


def recalled_files(files: Sequence[PhotoFile], known: pa.Table | None) -> set[PhotoFile]:
    """Those files of which the hash is known."""
    return {file for file, key in zip(files, recall(files, known), strict=True) if key is not None}


def recall(files: Sequence[PhotoFile], known: pa.Table | None) -> list[str | None]:
    """Find the known hash of each file, None where the file has to be read.

    Args:
        files: The files.
        known: Columns of `HASHES`, or None.
    """
    return _recall(_tabulate(files), known)


def drop_racy(hashes: pa.Table, files: Iterable[PhotoFile], moment_ns: int) -> pa.Table:
    """Keep the rows that a later snapshot may recall: those of files not changed close to when they were read.

    A file that changes after it was read, but within the resolution of the file system's clock, looks unchanged; git
    calls such an entry racily clean. It can only be a file whose mtime or ctime is hardly older than the moment of
    reading, or younger.

    Args:
        hashes: Columns of `HASHES`.
        files: The files that they are of.
        moment_ns: A moment before the files were listed and read, in nanoseconds since 1970.
    """
    # Compared as Python's numbers: a file may be dated beyond what 64 bits of nanoseconds hold.
    latest = moment_ns - RACY_NS
    return _without(hashes, [file.path for file in files if file.changed_ns is not None and file.changed_ns >= latest])


def drop_hashes(path: AnyPath, changed: Sequence[str]) -> None:
    """Drop known hashes that turned out not to be those of their files, so that the files are read again.

    Args:
        path: Where the hashes are; they need not be there.
        changed: Paths of the files.
    """
    known = read_hashes(path) if changed else None
    if known is not None:
        publish_parquet(path, _without(known, changed))


def _without(hashes: pa.Table, paths: Sequence[str]) -> pa.Table:
    return hashes.filter(pc.invert(pc.is_in(hashes["path"], value_set=pa.array(paths, pa.string()))))


def _tabulate(files: Sequence[PhotoFile]) -> pa.Table:
    return pa.table(
        [
            pa.array([file.path for file in files], pa.string()),
            pa.array([file.size for file in files], pa.int64()),
            pa.array([file.version for file in files], pa.string()),
        ],
        schema=pa.schema([HASHES.field(name) for name in ("path", "bytes", "version")]),
    )


def _recall(table: pa.Table, known: pa.Table | None) -> list[str | None]:
    if known is None:
        return [None] * table.num_rows
    last = known.take(pc.index_in(table["path"], value_set=known["path"].combine_chunks()))
    same = pc.and_(pc.equal(table["bytes"], last["bytes"]), pc.equal(table["version"], last["version"]))
    keys: list[str | None] = pc.if_else(same, last["sha256"], None).to_pylist()
    return keys


def _read(root: AnyPath, files: Sequence[PhotoFile], progress: Progress) -> Iterator[str | OSError]:
    """Hash files in threads (hashing and reading release the GIL), in the order given."""
    if files:
        progress.start(len(files), "photo")
        read = _read_objects if storage_at(root).reads_are_requests else _read_files
        yield from read(root, files, progress)


def _read_files(root: AnyPath, files: Sequence[PhotoFile], progress: Progress) -> Iterator[str | OSError]:
    chunks = (files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK))
    with ThreadPoolExecutor() as pool:
        for results in pool.map(lambda chunk: [_digest(root / file.path) for file in chunk], chunks):
            yield from results
            progress.advance(len(results))


def _read_objects(root: AnyPath, files: Sequence[PhotoFile], progress: Progress) -> Iterator[str | OSError]:
    large = Semaphore(_LARGE_AT_ONCE)

    def digest(file: PhotoFile) -> str | OSError:
        with large if file.size > _LARGE else nullcontext():
            return _digest(root / file.path)

    try:
        for result in map_ordered(digest, files, AT_ONCE):
            yield result
            progress.advance(1)
    except StoreUnreachableError as exc:
        raise cannot_be_had(exc) from exc


def _digest(path: AnyPath) -> str | OSError:
    try:
        return photo_sha256(path)
    except OSError as exc:
        return exc


def _warn(unreadable: Sequence[tuple[str, OSError]]) -> None:
    if unreadable:
        named = ", ".join(
            f"{escape_control_characters(path)} ({exc.strerror or exc})" for path, exc in unreadable[:_NAMED]
        )
        more = f" and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
        _log.warning("Photos that cannot be read are left out: %s%s. Check their permissions.", named, more)
