"""The folder of this machine for files on their way to an object store or from it."""

import fcntl
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from tasks.errors import MachineError
from tasks.runtime.exit_hooks import add_exit_hook

#: This process's own folder of it, by its process: a child makes one of its own.
_own: dict[int, Path] = {}


def scratch() -> Path:
    """The folder of this machine for files on their way to an object store or from it; it is made."""
    folder = Path(tempfile.gettempdir(), f"retrain-flowers-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What is fetched there is trusted as the store itself is.
    if folder.stat().st_uid != os.getuid():
        raise MachineError(f"{folder} belongs to another user. Set TMPDIR to a folder of your own, and run again.")
    return folder


def own_scratch() -> Path:
    """The folder of what this process has fetched; a lock tells sweepers that it lives."""
    process = os.getpid()
    # Whoever clears up the machine may have removed it.
    while process not in _own or not _own[process].exists():
        folder = scratch() / f".tmp-fetched-{secrets.token_hex(6)}"
        folder.mkdir()
        add_exit_hook(partial(shutil.rmtree, folder, ignore_errors=True))
        # A sweep between making and locking takes it for a leftover.
        with suppress(FileNotFoundError):
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
            _own[process] = folder
    return _own[process]
