"""Temporary files and folders of this machine, and scratch: the folder for files on their way to or from a store.

The writer holds a lock on each temporary file. The lock ends with its process, so an unlocked one was left by a crash,
and the next sweep removes it.
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

from tasks.errors import MachineError
from tasks.runtime.exit_hooks import add_exit_hook

TEMPORARY_PREFIX = ".tmp-"
#: Pattern of all temporary names. The twelve digits at the end tell them from files of the user's.
TEMPORARY = f"{TEMPORARY_PREFIX}*-{'[0-9a-f]' * 12}"
#: Folder of fetched files of each process, by process id: a forked child makes its own.
_own: dict[int, Path] = {}


@contextmanager
def make_temporary(path: Path, *, folder: bool) -> Iterator[Path]:
    """Make a locked temporary file or folder beside `path`; it is removed at the end if it still exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, descriptor = _make_locked(path, folder=folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """Return a new temporary name beside a path."""
    # The end hides it from `*.parquet`; 50 characters of 4 bytes fit into the 255 bytes of a file name.
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name[:50]}-{secrets.token_hex(6)}")


def scratch() -> Path:
    """Return the local folder for files on their way to or from an object store; it is made.

    Raises:
        MachineError: It belongs to another user.
    """
    folder = Path(tempfile.gettempdir(), f"retrain-flowers-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Files fetched there are trusted as much as the object store.
    if folder.stat().st_uid != os.getuid():
        raise MachineError(f"{folder} belongs to another user. Set TMPDIR to a folder of your own, and run again.")
    return folder


def own_scratch() -> Path:
    """Return the locked folder of scratch for files that this process fetches; it is removed at exit."""
    process = os.getpid()
    # Another program may have cleared the machine's temporary files.
    if process not in _own or not _own[process].exists():
        _own[process], _ = _make_locked(scratch() / "fetched", folder=True)
        add_exit_hook(partial(_remove, _own[process]))
    return _own[process]


def scratch_folder(name: str) -> AbstractContextManager[Path]:
    """Yield an empty folder of scratch that exists during the block."""
    return make_temporary(scratch() / name, folder=True)


def sweep_folder(folder: Path) -> None:
    """Remove leftovers of crashed writers in a folder, not below it."""
    for path in folder.glob(TEMPORARY) if folder.is_dir() else ():
        if path.is_symlink():
            # Nothing can lock a link; its writer makes another one.
            path.unlink(missing_ok=True)
            continue
        with suppress(FileNotFoundError), locked_if_free(path) as free:
            if free:
                _remove(path)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the exclusive lock of a file or folder during the block if it is free; yields whether it is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def flush(path: Path) -> None:
    """Make the bytes of a file, or the names of a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_locked(path: Path, *, folder: bool) -> tuple[Path, int]:
    while True:
        temporary = temporary_name(path)
        if folder:
            temporary.mkdir()
        else:
            temporary.touch()
        try:
            descriptor = os.open(temporary, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweep between making and locking may have removed it: then another one is made.
        if temporary.exists():
            return temporary, descriptor
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
