"""Removing what the stages keep: only below the data root, never through a link, and as one step.

A folder is renamed to a temporary name before its files are removed: killed anywhere in between, what is left is what a
crashed writer leaves, no stage takes it for complete, and the next removal beside it sweeps it away.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.artifacts import objects
from tasks.artifacts.files import TEMPORARY_PREFIX, sweep
from tasks.artifacts.layout import DataRoot
from tasks.artifacts.locks import is_locked
from tasks.errors import StoreError
from tasks.paths import AnyPath, is_remote


@dataclass(frozen=True)
class Footprint:
    """What something takes on the disk.

    Args:
        files: How many files it has; a link counts as one.
        bytes: Their size.
    """

    files: int
    bytes: int

    def __add__(self, other: "Footprint") -> "Footprint":
        return Footprint(self.files + other.files, self.bytes + other.bytes)


def measure(path: AnyPath) -> Footprint:
    """Measure a file or folder, nothing where it is not there; links are not followed."""
    if is_remote(path):
        sizes = path.fs.find(path.path, detail=True).values()
        return Footprint(len(sizes), sum(found["size"] for found in sizes))
    if path.is_symlink() or not path.is_dir():
        try:
            return Footprint(1, path.lstat().st_size)
        except OSError:
            return Footprint(0, 0)
    total = Footprint(0, 0)
    for folder, _, names in os.walk(path):
        for name in names:
            total += measure(Path(folder, name))
    return total


def check_removable(path: AnyPath, root: DataRoot) -> None:
    """Refuse to remove what is not the data root's own, or what a process works in.

    Args:
        path: A file or folder; it need not be there.
        root: The data root.

    Raises:
        StoreError: The path is not below the root, a link leads to it, or a process works in it.
    """
    if is_remote(root.path) or is_remote(path):
        if not str(path).startswith(f"{root.path}/"):
            raise StoreError(f"{path} is not below the data root {root.path}, so it is left alone.")
        if is_locked(path):
            raise StoreError(f"A process works in {path}. Wait until it has ended, or stop it; then forget it again.")
        return
    own = Path(os.path.abspath(root.path))  # noqa: PTH100 (as it is written: links are what is looked for)
    place = Path(os.path.abspath(path))  # noqa: PTH100
    if own == place or not place.is_relative_to(own):
        raise StoreError(f"{path} is not below the data root {root.path}, so it is left alone.")
    real = place.resolve()
    if real != own.resolve() / place.relative_to(own):
        raise StoreError(f"{path} is a link to {real}, or lies behind one, so it is left alone. Remove it by hand.")
    if _is_in_use(path):
        raise StoreError(f"A process works in {path}. Wait until it has ended, or stop it; then forget it again.")


def remove(path: AnyPath, root: DataRoot) -> Footprint:
    """Remove a file or a folder with all that is in it; what is not there is no harm.

    Args:
        path: It.
        root: The data root that it lies in.

    Returns:
        What was removed.

    Raises:
        StoreError: It is not the data root's own, a process works in it, or it cannot be removed.
    """
    check_removable(path, root)
    sweep(path.parent)
    footprint = measure(path)
    try:
        if is_remote(path):
            objects.remove_below(path)
        elif path.is_dir():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise StoreError(f"{path} cannot be removed ({exc.strerror}). Mend its rights, and forget it again.") from exc
    return footprint


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
