"""Locks between processes. Each ends with the process that holds it, however that ends, so none is ever stale."""

import atexit
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import StoreError
from tasks.events import emit

#: What this process holds until it ends: the files' descriptors. Workers that it forks hold them too.
_held: dict[Path, int] = {}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a folder; the others say that they wait, and do."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait(descriptor, f"Another process works in {folder}; waiting until it has ended.")
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a process works in a folder that `exclusive` lets only one work in."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that several may ask at once; it is given back at once.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def hold(path: Path, what: str) -> bool:
    """Be the only one at something until this process ends; where another one is at it, say so and wait.

    The file is removed at the end; after a crash it stays, and locks nothing.

    Args:
        path: The file that is locked; folders above it are made.
        what: What is done, for the line that says so.

    Returns:
        Whether another process was at it before.

    Raises:
        OSError: The file cannot be made.
    """
    waited = False
    while path not in _held:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        waited |= _wait(descriptor, f"Another process is at {what}; waiting until it has ended.")
        # Who held it before may have removed the file: then its name is another's, or nobody's.
        if names(path, descriptor):
            _held[path] = descriptor
            atexit.register(_leave, path, made)
        else:
            os.close(descriptor)
    return waited


def share(root: Path) -> bool:
    """Keep what a data root holds from being collected until this process ends; see `alone`.

    Returns:
        Whether this process did not yet; a root that is not there holds nothing.
    """
    if root in _held or not root.is_dir():
        return False
    descriptor = os.open(root, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _held[root] = descriptor
    return True


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Have a data root alone for a moment: no run is under way in any other process.

    Raises:
        StoreError: Another process is at work.
    """
    own = _held.get(root)
    descriptor = os.open(root, os.O_RDONLY) if own is None else own
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise StoreError(
            f"A run is under way in {root}, so nothing can be collected there. Wait until it has ended, and try again."
        ) from exc
    finally:
        if own is None:
            os.close(descriptor)
        else:
            fcntl.flock(own, fcntl.LOCK_SH)


def names(path: Path, descriptor: int) -> bool:
    """Whether a path still is the name of an open file; somebody may remove it at any time."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _leave(path: Path, made: Sequence[Path]) -> None:
    """Remove the file, and the folders that were made for it where nothing else came into them."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _wait(descriptor: int, why: str) -> bool:
    """Lock an open file; returns whether somebody had to be waited for."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        emit("waiting", why)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    return False
