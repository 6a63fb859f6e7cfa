"""What a process does as its last act for what it has elsewhere, while an object store can still be reached."""

import atexit
import concurrent.futures.thread  # noqa: F401 (what was registered first is called last, and this registers itself)
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class _When(NamedTuple):
    """The process whose last act something is, and whether it is one too where a signal ends it at once."""

    process: int
    stopped: bool


_acts: dict[Callable[[], object], _When] = {}


def add_exit_hook(act: Callable[[], object], *, stopped: bool = False) -> None:
    """Call something when this process ends, and not at the end of one that it forks; what it raises is no matter.

    Args:
        act: What to call.
        stopped: Whether to call it too where a signal ends the process at once, while others of its threads work on.
    """
    _acts[act] = _When(os.getpid(), stopped)


def remove_exit_hook(act: Callable[[], object]) -> None:
    """Take back what `add_exit_hook` was asked for."""
    _acts.pop(act, None)


def run_exit_hooks(*, stopped: bool = False) -> None:
    """Do the last acts, those that were asked for first before others.

    Args:
        stopped: Whether a signal ends the process at once.
    """
    for act, when in list(_acts.items()):
        if when.process == os.getpid() and (when.stopped or not stopped):
            with suppress(Exception):
                act()


# Python's own hook for its pools of threads: once they have ended nobody finds out the address of a store any more, and
# what `atexit` calls is called after that. Child processes of `multiprocessing` come to it too, and not to the other.
getattr(threading, "_register_atexit", atexit.register)(run_exit_hooks)
