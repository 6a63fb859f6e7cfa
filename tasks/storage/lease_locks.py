"""Locks of object stores: leases. A killed holder on another machine keeps the others waiting for a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
        lease, _ = leases.acquire(folder / _LOCK, f"Another process works in {folder}; waiting until it has ended.")
        try:
            yield
        finally:
            lease.release()

    def is_locked(self, folder: "UPath") -> bool:
        return leases.is_held(folder / _LOCK)

    def lock_until_exit(self, path: "UPath", work: str) -> bool:
        if str(path) in _leased:
            return False
        why = f"Another process is at {work}; waiting until it has ended."
        _leased[str(path)], waited = leases.acquire(path, why)
        return waited

    def lock_shared(self, root: "UPath") -> bool:
        if str(root) in _leased:
            return False
        _leased[str(root)] = leases.register(root / _RUNS)
        # Runs and collectors register first and look for the other then, so that one of them sees the other.
        if leases.is_held(root / _COLLECTION):
            why = f"Another process collects in {root}; waiting until it has ended."
            leases.acquire(root / _COLLECTION, why)[0].release()
        return True

    @contextmanager
    def lock_root(self, root: "UPath") -> Iterator[None]:
        own = _leased.get(str(root))
        try:
            lease, _ = leases.acquire(root / _COLLECTION, None)
        except BlockingIOError as exc:
            raise run_under_way(root) from exc
        try:
            if leases.others(root / _RUNS, own.path if own else None, leases.modified(lease.path)):
                raise run_under_way(root)
            yield
        finally:
            lease.release()
