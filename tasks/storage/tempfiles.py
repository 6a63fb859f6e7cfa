"""Temporary files and folders, and where they are: beside what they are for, or in scratch where that is far away.

The writer holds a lock on each; a lock ends with its process, so one that nobody locks was left behind by a crash, and
the next run sweeps it away.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from tasks.errors import MachineError
from tasks.keys import fingerprint
from tasks.paths import AnyPath, is_remote
from tasks.storage.scratch import scratch

TEMPORARY_PREFIX = ".tmp-"
#: How all temporary names look: with the twelve digits at their end, a person's own file is not taken for one.
TEMPORARY = f"{TEMPORARY_PREFIX}*-{'[0-9a-f]' * 12}"


@contextmanager
def make_temporary(path: AnyPath, *, folder: bool) -> Iterator[Path]:
    """A locked temporary file or folder beside `path`, or in scratch; removed at the end if it is still there."""
    beside = scratch() / path.name if is_remote(path) else path
    beside.parent.mkdir(parents=True, exist_ok=True)
    temporary, descriptor = _make_locked(beside, folder=folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(descriptor)


def scratch_for(folder: AnyPath) -> Path:
    """Where on this machine things go for a while that belong to a folder: the folder itself, or scratch."""
    return scratch() if is_remote(folder) else folder


def kept_here(folder: AnyPath) -> Path:
    """Where on this machine what belongs to a folder stays from run to run: the folder itself, or one of scratch.

    Nothing there is swept; what is half done, such as a download, is gone on with, but nobody may count on it.
    """
    if not is_remote(folder):
        return folder
    return scratch() / "kept" / fingerprint({"folder": str(folder)}) / folder.name


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """An empty folder of scratch for as long as the block lasts; the next run sweeps what a killed one left."""
    with make_temporary(scratch() / name, folder=True) as folder:
        yield folder


def open_scratch(folder: AnyPath, size: int) -> FileIO:
    """Open a file without a name, for what does not fit in memory: it is gone when it is closed or its process ends.

    Args:
        folder: On whose disk it is to be, scratch where that is an object store; it is made.
        size: How many bytes it has, all zero at first.

    Returns:
        The file, open for reading and writing.

    Raises:
        MachineError: The disk has no room for it.
    """
    folder = scratch_for(folder)
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


def sweep(folder: AnyPath) -> int:
    """Remove what crashed writers left in a folder (not below it); files that are still being written stay.

    On an object store they left nothing: what is swept is scratch.

    Returns:
        How many files and folders were removed.
    """
    removed = 0
    folder = scratch_for(folder)
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
def marking(folder: Path) -> Iterator[Path]:
    """A file in a folder for as long as the block lasts, by which other machines can tell whether it is theirs too."""
    with make_temporary(folder / "mark", folder=False) as mark:
        yield mark


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
