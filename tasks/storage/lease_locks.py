"""Locks of object stores: leases. A killed holder on another machine keeps the others waiting for a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.events import emit
from tasks.storage import leases
from tasks.storage.errors import run_under_way

if TYPE_CHECKING:
    from upath import UPath

#: Leases that this process holds until exit, by address.
_leased: dict[str, leases.Lease] = {}
_LOCK, _RUNS, _COLLECTION = ".lock", ".running", ".collecting"


class LeaseLocks:
    """The locks of `Storage` on an object store."""

    is_held = staticmethod(leases.is_held)
    clear_lock = staticmethod(leases.clear)

    @contextmanager
    def lock_folder(self, folder: "UPath") -> Iterator[None]:
        lease, _ = _acquire(folder / _LOCK, f"Another process works in {folder}; waiting until it has ended.")
        try:
            yield
        finally:
            lease.release()

    def is_locked(self, folder: "UPath") -> bool:
        return leases.is_held(folder / _LOCK)

    def lock_until_exit(self, path: "UPath", what: str) -> bool:
        if str(path) in _leased:
            return False
        lease, waited = _acquire(path, f"Another process is at {what}; waiting until it has ended.")
        _leased[str(path)] = lease
        return waited

    def lock_shared(self, root: "UPath") -> bool:
        if str(root) in _leased:
            return False
        _leased[str(root)] = leases.register(root / _RUNS)
        # Runs and collectors register first and look for the other then, so that one of them sees the other.
        if leases.is_held(root / _COLLECTION):
            why = f"Another process collects in {root}; waiting until it has ended."
            _acquire(root / _COLLECTION, why)[0].release()
        return True

    @contextmanager
    def lock_root(self, root: "UPath") -> Iterator[None]:
        own = _leased.get(str(root))
        lease = leases.acquire(root / _COLLECTION, lambda: False)
        if lease is None:
            raise run_under_way(root)
        try:
            if leases.others(root / _RUNS, own.path if own else None, leases.modified(lease.path)):
                raise run_under_way(root)
            yield
        finally:
            lease.release()


def _acquire(place: "UPath", why: str) -> tuple[leases.Lease, bool]:
    """Take a lease, and report why if it has to be waited for; returns it, and whether it had to."""
    waited = False

    def wait() -> bool:
        nonlocal waited
        waited = True
        emit("waiting", why)
        return True

    lease = leases.acquire(place, wait)
    assert lease is not None  # noqa: S101 (it was waited for)
    return lease, waited
