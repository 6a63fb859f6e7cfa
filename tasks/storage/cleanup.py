"""Clears a data root of what killed runs left anywhere below it; each stage sweeps only where it writes."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.paths import is_remote
from tasks.storage.layout import DataRoot
from tasks.storage.tempfiles import TEMPORARY_PREFIX, sweep


def sweep_root(root: DataRoot) -> None:
    """Remove temporary files and folders, those of checkpoints among them, and the locks of nights that were killed.

    What a process still works on stays. Archives are not looked into: their members are not ours, and many. What cannot
    be removed, such as where the disk is read-only, is left for the next time. Of an object store it is scratch.

    Args:
        root: The data root; it need not be there.
    """
    if is_remote(root.path):
        sweep(root.path)
        return
    downloads = root.downloads("x").parent
    with suppress(OSError):
        for folder, below, _ in os.walk(root.path):
            here = Path(folder)
            below[:] = [name for name in below if not name.startswith(TEMPORARY_PREFIX)]
            if here.parent == downloads:
                below.clear()
            sweep(here)
            if here.name == "checkpoints":
                _sweep_checkpoints(here)
        for lock in root.path.glob("runs/*/.*.lock"):
            with _locked(lock) as free:
                if free:
                    lock.unlink(missing_ok=True)


def _sweep_checkpoints(folder: Path) -> None:
    """Remove what TensorFlow writes to before it renames it; whoever trains has locked the folder above."""
    with _locked(folder.parent) as free:
        if free:
            for path in folder.glob("*_temp"):
                shutil.rmtree(path)
            for path in folder.glob("checkpoint.tmp*"):
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a lock where it is free; yields whether it is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
