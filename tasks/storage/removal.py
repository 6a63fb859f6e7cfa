"""Removing what the stages keep: only below the data root, never through a link, and as one step.

A folder is renamed to a temporary name before its files are removed: killed anywhere in between, what is left is what a
crashed writer leaves, no stage takes it for complete, and the next removal beside it sweeps it away.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote
from tasks.storage import object_store
from tasks.storage.layout import DataRoot
from tasks.storage.locks import is_locked
from tasks.storage.remote_listing import RemoteFile, objects_below
from tasks.storage.tempfiles import TEMPORARY_PREFIX, sweep

if TYPE_CHECKING:
    from upath import UPath


@dataclass(frozen=True)
class DiskUsage:
    """What something takes on the disk.

    Args:
        files: How many files it has; a link counts as one.
        bytes: Their size.
    """

    files: int
    bytes: int

    def __add__(self, other: "DiskUsage") -> "DiskUsage":
        return DiskUsage(self.files + other.files, self.bytes + other.bytes)


def measure(path: AnyPath) -> DiskUsage:
    """Measure a file or folder, nothing where it is not there; links are not followed."""
    if is_remote(path):
        return _measure_far(path, objects_below(path))
    if path.is_symlink() or not path.is_dir():
        try:
            return DiskUsage(1, path.lstat().st_size)
        except OSError:
            return DiskUsage(0, 0)
    total = DiskUsage(0, 0)
    for folder, _, names in os.walk(path):
        for name in names:
            total += measure(Path(folder, name))
    return total


def _measure_far(path: "UPath", found: Iterable[RemoteFile]) -> DiskUsage:
    """As `measure`, of what was found below a folder of an object store; leases and marks of folders do not count."""
    sizes = [one.size for one in found if not object_store.is_aid(one.path)]
    if not sizes:
        with suppress(FileNotFoundError):
            own = path.fs.info(path.path)
            sizes = [own["size"]] if own["type"] == "file" else []
    return DiskUsage(len(sizes), sum(sizes))


def check_removable(path: AnyPath, root: DataRoot) -> None:
    """Refuse to remove what is not the data root's own, or what a process works in.

    Args:
        path: A file or folder; it need not be there.
        root: The data root.

    Raises:
        StoreError: The path is not below the root, a link leads to it, or a process works in it.
    """
    if is_remote(root.path) or is_remote(path):
        _check_below(path, root)
        if is_locked(path):
            raise _in_use(path)
        return
    own = Path(os.path.abspath(root.path))  # noqa: PTH100 (as it is written: links are what is looked for)
    place = Path(os.path.abspath(path))  # noqa: PTH100
    if own == place or not place.is_relative_to(own):
        raise StoreError(f"{path} is not below the data root {root.path}, so it is left alone.")
    real = place.resolve()
    if real != own.resolve() / place.relative_to(own):
        raise StoreError(f"{path} is a link to {real}, or lies behind one, so it is left alone. Remove it by hand.")
    if _is_in_use(path):
        raise _in_use(path)


def remove(path: AnyPath, root: DataRoot) -> DiskUsage:
    """Remove a file or a folder with all that is in it; what is not there is no harm.

    Args:
        path: It.
        root: The data root that it lies in.

    Returns:
        What was removed.

    Raises:
        StoreError: It is not the data root's own, a process works in it, or it cannot be removed.
    """
    if is_remote(path):
        with _removing(path):
            return _remove_far(path, root)
    check_removable(path, root)
    sweep(path.parent)
    footprint = measure(path)
    with _removing(path):
        if path.is_dir():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)
    return footprint


@contextmanager
def _removing(path: AnyPath) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        why = exc.strerror or exc
        raise StoreError(f"{path} cannot be removed ({why}). Mend its rights, and forget it again.") from exc


def _remove_far(path: "UPath", root: DataRoot) -> DiskUsage:
    """As `remove`, in an object store: what is below a folder is listed once."""
    _check_below(path, root)
    found = list(objects_below(path))
    # Without a lease nobody has ever worked in it.
    if any(object_store.is_aid(one.path) for one in found) and is_locked(path):
        raise _in_use(path)
    footprint = _measure_far(path, found)
    if found:
        object_store.remove_below(path, [one.path for one in found])
    else:
        object_store.remove([path])
    return footprint


def _check_below(path: AnyPath, root: DataRoot) -> None:
    if not str(path).startswith(f"{str(root.path).rstrip('/')}/"):
        raise StoreError(f"{path} is not below the data root {root.path}, so it is left alone.")


def _in_use(path: AnyPath) -> StoreError:
    return StoreError(f"A process works in {path}. Wait until it has ended, or stop it; then forget it again.")


def _is_in_use(path: AnyPath) -> bool:
    """Whether a process holds the lock of a folder, or writes a file in it."""
    return is_locked(path) or any(is_locked(written) for written in path.rglob(f"{TEMPORARY_PREFIX}*"))


def _remove_folder(folder: Path) -> None:
    temporary = folder.with_name(f"{TEMPORARY_PREFIX}{folder.name[:50]}-{secrets.token_hex(6)}")
    with _locked(folder):
        folder.rename(temporary)
        shutil.rmtree(temporary)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, so that nobody sweeps it meanwhile; one who waits for it must not get half of it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StoreError(f"A process works in {folder}. Wait until it has ended; then forget it again.") from exc
        yield
    finally:
        os.close(descriptor)
