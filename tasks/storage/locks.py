"""Locks between processes; `Storage` describes them. None is ever stale: each ends with its process.

On an object store they are leases (`tasks.storage.leases`).
"""

from contextlib import AbstractContextManager

from tasks.paths import AnyPath
from tasks.storage.files import storage_at


def lock_folder(folder: AnyPath) -> AbstractContextManager[None]:
    """Hold the exclusive lock of a folder during the block; report once when it has to be waited for."""
    return storage_at(folder).lock_folder(folder)


def is_locked(folder: AnyPath) -> bool:
    """Whether a process holds the lock of a folder."""
    return storage_at(folder).is_locked(folder)


def lock_until_exit(path: AnyPath, what: str) -> bool:
    """Hold an exclusive lock until exit; returns whether another process held it before."""
    return storage_at(path).lock_until_exit(path, what)


def lock_shared(root: AnyPath) -> bool:
    """Keep garbage of a data root from being collected until exit; returns whether this process did not yet."""
    return storage_at(root).lock_shared(root)


def lock_root(root: AnyPath) -> AbstractContextManager[None]:
    """Hold the exclusive lock of a data root during the block, or raise StoreError if another process uses it."""
    return storage_at(root).lock_root(root)
