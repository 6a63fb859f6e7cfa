"""Removal of files and folders: only below the data root, never through a link, and as one step."""

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.storage.errors import in_use
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot
from tasks.storage.survey import DiskUsage


def measure(path: AnyPath) -> DiskUsage:
    """Measure a file or folder; see `Storage.measure`."""
    return storage_at(path).measure(path)


def check_removable(path: AnyPath, root: DataRoot) -> None:
    """Refuse to remove a path that is not the data root's own, or that a process works in; it may be missing.

    Raises:
        StoreError: The path is not below the root, leads through a link, or a process works in it.
    """
    storage_at(path).check_below(path, root.path)
    if storage_at(path).is_in_use(path):
        raise in_use(path)


def remove(path: AnyPath, root: DataRoot) -> None:
    """Remove a file or folder of a data root; it may be missing.

    Raises:
        StoreError: As of `check_removable`; or the system refuses the removal.
    """
    storage_at(path).check_below(path, root.path)
    try:
        storage_at(path).remove_unused(path)
    except OSError as exc:
        why = exc.strerror or exc
        raise StoreError(f"{path} cannot be removed ({why}). Mend its rights, and forget it again.") from exc
