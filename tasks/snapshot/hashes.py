"""Hashes of files: new files are read, and the hashes of unchanged ones are recalled from the last snapshot."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.concurrency import map_ordered
from tasks.errors import first_of
from tasks.events import escape_control_characters
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.parquet.row_paths import file_of
from tasks.snapshot.photo_io import PIECE, photo_sha256
from tasks.snapshot.walk import unreachable_store
from tasks.storage.files import storage_at
from tasks.storage.object_store import PARALLEL_REQUESTS
from tasks.storage.remote_listing import StoreUnreachableError

#: One row a file; its hash is recalled while size and version stay the same. See `PhotoFile`.
HASHES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

#: One row a row of a Parquet file, with its label and its split, and the version of that file.
ROW_HASHES = pa.schema([*HASHES, pa.field("label", pa.string()), pa.field("split", pa.string())])

#: A file that is modified again this soon may keep its mtime and ctime: those of FAT have steps of two seconds.
RACY_NS = 2_000_000_000

# Files of a thread's unit of work: a million files need few futures, and progress still moves.
_CHUNK = 64
# Most bytes of objects in memory, each whole or in pieces: enough for photos of 8 MB in all threads.
_OBJECT_BYTES = 2**28
_NAMED = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Hashed:
    """The hashes of files."""

    table: pa.Table  #: Columns of `HASHES`, in the order of the files given; files that could not be read have no row.
    read: int  #: Number of files that were read, without recalled ones.
    unreadable: tuple[str, ...]  #: Paths of files that exist but could not be read.


def read_hashes(path: AnyPath) -> pa.Table | None:
    """Read the hashes that the last snapshot left.

    They only save work: if the file is damaged or of another version, that is logged, the result is None, and every
    photo is read again.
    """
    try:
        table = read_parquet(path)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError) as exc:
        _log.warning("The known hashes in %s are damaged (%s): every photo is hashed again.", path, exc)
        return None
    if not any(map(table.schema.equals, (HASHES, ROW_HASHES))):
        _log.info("The known hashes in %s are of another version: every photo is hashed again, once.", path)
        return None
    return table


def hash_files(root: AnyPath, files: Sequence[PhotoFile], known: pa.Table | None, progress: Progress) -> Hashed:
    """Hash files of a folder, but recall the hashes of those whose size and version are known.

    A file that vanished has no row; one that cannot be read has none either, and is logged. Objects of a store are
    read by many parallel requests. Progress advances by the files that are read.

    Raises:
        DatasetError: The object store is unreachable.
    """
    table = tabulate_files(files)
    keys = recall(table, known)
    missing = [place for place, key in enumerate(keys) if key is None]
    unreadable: dict[str, OSError] = {}
    read = 0
    for place, result in zip(missing, _read(root, [files[place] for place in missing], progress), strict=True):
        if isinstance(result, str):
            keys[place] = result
            read += 1
        elif not isinstance(result, FileNotFoundError | NotADirectoryError):
            unreadable[files[place].path] = result
    if unreadable:
        named = [f"{escape_control_characters(path)} ({exc.strerror or exc})" for path, exc in unreadable.items()]
        _log.warning("Photos that cannot be read are left out: %s. Check their permissions.", first_of(named, _NAMED))
    column = pa.array(keys, pa.string())
    table = table.append_column(HASHES.field("sha256"), column).filter(column.is_valid())
    return Hashed(table.cast(HASHES), read, tuple(unreadable))


def tabulate_files(files: Sequence[PhotoFile]) -> pa.Table:
    """Make a table of files: the columns of `HASHES` without the hashes."""
    columns = [[file.path for file in files], [file.size for file in files], [file.version for file in files]]
    return pa.table(columns, schema=HASHES.remove(HASHES.get_field_index("sha256")))


def recall(files: pa.Table, known: pa.Table | None) -> list[str | None]:
    """Find the known hash of each file of `tabulate_files`; None for a file that has to be read."""
    if known is None:
        return [None] * files.num_rows
    last = known.take(pc.index_in(files["path"], value_set=known["path"].combine_chunks()))
    same = pc.and_(pc.equal(files["bytes"], last["bytes"]), pc.equal(files["version"], last["version"]))
    keys: list[str | None] = pc.if_else(same, last["sha256"], None).to_pylist()
    return keys


def drop_racy(hashes: pa.Table, files: Iterable[PhotoFile], moment_ns: int) -> pa.Table:
    """Keep the rows that a later snapshot may recall: those of files that did not change shortly before they were read.

    A file that changes after it was read, but within the resolution of the file system's clock, looks unchanged; git
    calls such an entry racily clean. Its mtime or ctime is hardly older than the moment of reading, or newer.

    Args:
        hashes: Columns of `HASHES` or `ROW_HASHES`.
        files: The files of the rows.
        moment_ns: A moment before the files were listed and read, in nanoseconds since 1970.
    """
    # Python's numbers: the date of a file may be beyond 64 bits of nanoseconds.
    latest = moment_ns - RACY_NS
    return _without(hashes, [file.path for file in files if file.changed_ns is not None and file.changed_ns >= latest])


def drop_hashes(path: AnyPath, changed: Sequence[str]) -> None:
    """Drop the known hashes of changed photos, so that these are read again; the file of hashes may be missing."""
    known = read_hashes(path) if changed else None
    if known is not None:
        publish_parquet(path, _without(known, changed))


def _without(hashes: pa.Table, paths: Sequence[str]) -> pa.Table:
    """Drop the rows of files; if these are Parquet files, or photos in them, all rows of such a file."""
    if hashes.schema.equals(ROW_HASHES):
        files = set(map(file_of, paths))
        return hashes.filter(pa.array([file_of(path) not in files for path in hashes["path"].to_pylist()], pa.bool_()))
    return hashes.filter(pc.invert(pc.is_in(hashes["path"], value_set=pa.array(paths, pa.string()))))


def _read(root: AnyPath, files: Sequence[PhotoFile], progress: Progress) -> Iterator[str | OSError]:
    """Hash files in threads (hashing and reading release the GIL), in the order given."""
    if not files:
        return
    progress.start(len(files), "photo")
    remote = storage_at(root).reads_are_requests
    step, threads = (1, PARALLEL_REQUESTS) if remote else (_CHUNK, min(32, (os.cpu_count() or 1) + 4))

    def hash_chunk(chunk: Sequence[PhotoFile]) -> list[str | OSError]:
        return [_hash(root / file.path) for file in chunk]

    def weigh(chunk: Sequence[PhotoFile]) -> int:
        return sum(min(file.size, PIECE) for file in chunk) if remote else 0

    chunks = (files[start : start + step] for start in range(0, len(files), step))
    try:
        for results in map_ordered(hash_chunk, chunks, threads, weigh, _OBJECT_BYTES):
            yield from results
            progress.advance(len(results))
    except StoreUnreachableError as exc:
        raise unreachable_store(exc) from exc


def _hash(path: AnyPath) -> str | OSError:
    try:
        return photo_sha256(path)
    except OSError as exc:
        return exc
