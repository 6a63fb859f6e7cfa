"""Locks of this machine: `flock` on files and folders. A lock ends with its process, so none is ever stale."""

import atexit
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.events import emit
from tasks.storage.errors import run_under_way
from tasks.storage.tempfiles import locked_if_free

#: Descriptors of the locks that this process holds until exit; forked workers hold them too.
_held: dict[Path, int] = {}


class FileLocks:
    """The locks of `Storage` on this machine."""

    @contextmanager
    def lock_folder(self, folder: Path) -> Iterator[None]:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _wait(descriptor, f"Another process works in {folder}; waiting until it has ended.")
            yield
        finally:
            os.close(descriptor)

    def is_locked(self, folder: Path) -> bool:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            # A shared lock, so that several processes may ask at once.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def lock_until_exit(self, path: Path, work: str) -> bool:
        waited = False
        while path not in _held:
            made = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            waited |= _wait(descriptor, f"Another process is at {work}; waiting until it has ended.")
            # The holder before may have removed the file: then its name is another file's, or nobody's.
            if is_same_file(path, descriptor):
                _held[path] = descriptor
                atexit.register(_remove_lock_file, path, made)
            else:
                os.close(descriptor)
        return waited

    def is_held(self, path: Path) -> bool:
        return self.is_locked(path)

    def clear_lock(self, path: Path) -> None:
        pass

    def lock_shared(self, root: Path) -> bool:
        if root in _held or not root.is_dir():
            return False
        descriptor = os.open(root, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _held[root] = descriptor
        return True

    @contextmanager
    def lock_root(self, root: Path) -> Iterator[None]:
        own = _held.get(root)
        if own is None:
            with locked_if_free(root) as free:
                if not free:
                    raise run_under_way(root)
                yield
            return
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as exc:
            raise run_under_way(root) from exc
        finally:
            fcntl.flock(own, fcntl.LOCK_SH)


def is_same_file(path: Path, descriptor: int) -> bool:
    """Whether a path is still the name of an open file; another process may remove it at any time."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_lock_file(path: Path, made: Sequence[Path]) -> None:
    """Remove a lock file, and the folders that were made for it if they are empty."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        for folder in made:
            folder.rmdir()


def _wait(descriptor: int, why: str) -> bool:
    """Lock an open file; returns whether another process held the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        emit("waiting", why)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    return False
