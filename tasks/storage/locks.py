"""Locks between processes. Each ends with the process that holds it, however that ends, so none is ever stale.

On an object store they are leases (`tasks.storage.leases`), of which a holder on another machine that was killed
keeps the others waiting for a minute.
"""

import atexit
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import StoreError
from tasks.events import emit
from tasks.paths import AnyPath, is_remote
from tasks.storage import leases

if TYPE_CHECKING:
    from upath import UPath

#: What this process holds until it ends: the files' descriptors. Workers that it forks hold them too.
_held: dict[Path, int] = {}
#: The same of object stores.
_leased: dict[str, leases.Lease] = {}
_LOCK, _RUNS, _ALONE = ".lock", ".running", ".collecting"


@contextmanager
def lock_folder(folder: AnyPath) -> Iterator[None]:
    """Let one process at a time work in a folder; the others say that they wait, and do."""
    why = f"Another process works in {folder}; waiting until it has ended."
    if is_remote(folder):
        lease, _ = _acquire(folder / _LOCK, why)
        try:
            yield
        finally:
            lease.release()
        return
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _wait(descriptor, why)
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: AnyPath) -> bool:
    """Whether a process works in a folder that `lock_folder` lets only one work in."""
    if is_remote(folder):
        return leases.is_held(folder / _LOCK)
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


def lock_until_exit(path: AnyPath, what: str) -> bool:
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
    why = f"Another process is at {what}; waiting until it has ended."
    if is_remote(path):
        return _hold_lease(path, why)
    while path not in _held:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        waited |= _wait(descriptor, why)
        # Who held it before may have removed the file: then its name is another's, or nobody's.
        if is_same_file(path, descriptor):
            _held[path] = descriptor
            atexit.register(_leave, path, made)
        else:
            os.close(descriptor)
    return waited


def is_held(path: AnyPath) -> bool:
    """Whether a process holds what `lock_until_exit` locks."""
    return leases.is_held(path) if is_remote(path) else is_locked(path)


def clear(path: AnyPath) -> None:
    """Remove what is left of a lock of `lock_until_exit` that nobody holds; on this machine `sweep_root` does."""
    if is_remote(path):
        leases.clear(path)


def lock_shared(root: AnyPath) -> bool:
    """Keep what a data root holds from being collected until this process ends; see `lock_root`.

    Returns:
        Whether this process did not yet; a root that is not there holds nothing.
    """
    if is_remote(root):
        return _register(root)
    if root in _held or not root.is_dir():
        return False
    descriptor = os.open(root, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _held[root] = descriptor
    return True


@contextmanager
def lock_root(root: AnyPath) -> Iterator[None]:
    """Have a data root alone for a moment: no run is under way in any other process.

    Raises:
        StoreError: Another process is at work.
    """
    if is_remote(root):
        with _alone_on_store(root):
            yield
        return
    own = _held.get(root)
    descriptor = os.open(root, os.O_RDONLY) if own is None else own
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise _under_way(root) from exc
    finally:
        if own is None:
            os.close(descriptor)
        else:
            fcntl.flock(own, fcntl.LOCK_SH)


def is_same_file(path: Path, descriptor: int) -> bool:
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


def _acquire(place: "UPath", why: str) -> tuple[leases.Lease, bool]:
    """Take a lease, and say why where it has to be waited for; returns it, and whether it had to."""
    waited = False

    def wait() -> bool:
        nonlocal waited
        waited = True
        emit("waiting", why)
        return True

    lease = leases.acquire(place, wait)
    assert lease is not None  # noqa: S101 (it was waited for)
    return lease, waited


def _hold_lease(path: "UPath", why: str) -> bool:
    if str(path) in _leased:
        return False
    lease, waited = _acquire(path, why)
    _leased[str(path)] = lease
    return waited


def _register(root: "UPath") -> bool:
    if str(root) in _leased:
        return False
    _leased[str(root)] = leases.register(root / _RUNS)
    # Told first and asked then, as whoever collects does: one of the two sees the other.
    if leases.is_held(root / _ALONE):
        lease, _ = _acquire(root / _ALONE, f"Another process collects in {root}; waiting until it has ended.")
        lease.release()
    return True


@contextmanager
def _alone_on_store(root: "UPath") -> Iterator[None]:
    own = _leased.get(str(root))
    lease = leases.acquire(root / _ALONE, lambda: False)
    if lease is None:
        raise _under_way(root)
    try:
        if leases.others(root / _RUNS, own.path if own else None, leases.modified(lease.path)):
            raise _under_way(root)
        yield
    finally:
        lease.release()


def _under_way(root: AnyPath) -> StoreError:
    return StoreError(
        f"A run is under way in {root}, so nothing can be collected there. Wait until it has ended, and try again."
    )
