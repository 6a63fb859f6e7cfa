"""Sweeps a whole data root of the leftovers of killed runs; each stage sweeps only the folders it writes to."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from tasks.storage.layout import DataRoot
from tasks.storage.tempfiles import TEMPORARY_PREFIX, locked_if_free, sweep_folder


def sweep_root(root: DataRoot) -> None:
    """Remove temporary files and folders, those of checkpoints among them, and the lock files of killed runs.

    Files that a process still writes stay. Extracted archives are not searched: they have many files, none of them
    ours. Files that cannot be removed, such as on a read-only disk, are left. For an object store scratch is swept.
    """
    top = root.storage.scratch_for(root.path)
    if not root.storage.has_folders:
        sweep_folder(top)
        return
    downloads = root.below("download")
    with suppress(OSError):
        for folder, below, _ in os.walk(top):
            here = Path(folder)
            below[:] = [name for name in below if not name.startswith(TEMPORARY_PREFIX)]
            if here.parent == downloads:
                below.clear()
            sweep_folder(here)
            if here.name == "checkpoints":
                _sweep_checkpoints(here)
        for lock in top.glob("runs/*/.*.lock"):
            with locked_if_free(lock) as free:
                if free:
                    lock.unlink(missing_ok=True)


def _sweep_checkpoints(folder: Path) -> None:
    """Remove files that TensorFlow had not renamed yet; a training locks the folder above."""
    with locked_if_free(folder.parent) as free:
        if free:
            for path in folder.glob("*_temp"):
                shutil.rmtree(path)
            for path in folder.glob("checkpoint.tmp*"):
                path.unlink()
