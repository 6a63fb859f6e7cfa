"""Atomic publishing: a file or folder is there whole, or it is not there.

Everything is written to a temporary name in the folder where it is to live, flushed to the disk, and renamed. The
writer holds a lock on the temporary file; a lock ends with its process, so a temporary file that nobody locks was left
behind by a crash, and the next run sweeps it away.
"""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.artifacts.damage import DamagedError
from tasks.artifacts.keys import KEY_LENGTH, file_sha256
from tasks.artifacts.parquet import write_parquet
from tasks.errors import MachineError

TEMPORARY_PREFIX = ".tmp-"
#: How all temporary names look: with the twelve digits at their end, a person's own file is not taken for one.
TEMPORARY = f"{TEMPORARY_PREFIX}*-{'[0-9a-f]' * 12}"


@contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name and publish it when the block ends without an exception.

    Args:
        path: Where the file is to be; folders above it are made. A file that is there already is replaced as one step.

    Yields:
        The temporary path, an empty file in the same folder.
    """
    with _temporary(path, folder=False) as temporary:
        yield temporary
        _move(temporary, path)


def publish_shard(folder: Path, tables: Iterable[pa.Table], schema: pa.Schema, rows_per_group: int) -> Path:
    """Publish tables as one Parquet file named by its content; they are asked for one after the other.

    Returns:
        The file: `part-`, the first 16 hex digits of the sha256 of its bytes, `.parquet`.
    """
    with _temporary(folder / "part.parquet", folder=False) as temporary:
        write_parquet(temporary, tables, schema, rows_per_group)
        shard = folder / shard_name(temporary)
        _move(temporary, shard)
        return shard


def shard_name(path: Path) -> str:
    """What a shard of a file's bytes is called."""
    return f"part-{file_sha256(path)[:KEY_LENGTH]}.parquet"


@contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and publish it when the block ends without an exception.

    Where the folder is there already (another run was faster), that one stays and the new one is dropped.

    Yields:
        The temporary path, an empty folder beside the final one.
    """
    with _temporary(path, folder=True) as temporary:
        yield temporary
        for written in (*temporary.rglob("*"), temporary):
            flush(written)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        flush(path.parent)


def publish_bytes(path: Path, data: bytes) -> None:
    """Publish a file of these bytes."""
    with publishing(path) as temporary:
        temporary.write_bytes(data)


def publish_json(path: Path, value: object) -> None:
    """Publish a JSON file that people can read: indented, Unicode kept."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A path that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON's own notation for them.
    publish_bytes(path, text.encode(errors="backslashreplace"))


def publish_parquet(path: Path, table: pa.Table, rows_per_group: int = 65536) -> None:
    """Publish a table as a Parquet file (zstd)."""
    with publishing(path) as temporary:
        write_parquet(temporary, [table], table.schema, rows_per_group)


def remove_shards(shards: Sequence[Path]) -> None:
    """Remove shards of one folder; those that are gone already are no harm."""
    for shard in shards:
        shard.unlink(missing_ok=True)
        flush(shard.parent)


def open_scratch(folder: Path, size: int) -> FileIO:
    """Open a file without a name, for what does not fit in memory: it is gone when it is closed or its process ends.

    Args:
        folder: On whose disk it is to be; it is made.
        size: How many bytes it has, all zero at first.

    Returns:
        The file, open for reading and writing.

    Raises:
        MachineError: The disk has no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise MachineError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free, and a scratch file of {size / 1e9:.1f} GB is needed. "
            "Free some, or move the data root to a larger disk."
        )
    file = tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX, buffering=0)  # noqa: SIM115 (the caller's to close)
    file.truncate(size)
    return file


def read_json(path: Path) -> Any:
    """Read a JSON file of the data root.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as exc:
        raise DamagedError(path, f"{path} is damaged ({exc}). Delete it; the next run writes it again.") from exc


def sweep(folder: Path) -> int:
    """Remove what crashed writers left in a folder (not below it); files that are still being written stay.

    Returns:
        How many files and folders were removed.
    """
    removed = 0
    for path in folder.glob(TEMPORARY) if folder.is_dir() else ():
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _remove(path)
            removed += 1
        finally:
            os.close(descriptor)
    return removed


@contextmanager
def _temporary(path: Path, *, folder: bool) -> Iterator[Path]:
    """Make a locked temporary file or folder beside `path`; remove it at the end if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, descriptor = _make_locked(path, folder=folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(descriptor)


def _move(temporary: Path, path: Path) -> None:
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def _make_locked(path: Path, *, folder: bool) -> tuple[Path, int]:
    while True:
        # The end hides it from `*.parquet`; 50 characters of 4 bytes stay within the 255 bytes of a file name.
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name[:50]}-{secrets.token_hex(6)}")
        if folder:
            temporary.mkdir()
        else:
            temporary.touch()
        try:
            descriptor = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweep between making and locking took it for a leftover: then the name is gone, and another is made.
        if temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
