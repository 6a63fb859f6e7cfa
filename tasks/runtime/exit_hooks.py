"""Exit hooks that release remote resources, while an object store can still be reached."""

import atexit
import concurrent.futures.thread  # noqa: F401 (it registers a hook of its own, which has to run after those here)
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache

#: By hook, the process that runs it, and whether it also runs when a signal ends that process.
_hooks: dict[Callable[[], object], tuple[int, bool]] = {}


def add_exit_hook(hook: Callable[[], object], *, on_signal: bool = False) -> None:
    """Call a function when this process ends, but not when a fork of it does; its exceptions are ignored.

    With `on_signal` it is also called when a signal ends the process, while its other threads still work.
    """
    _run_hooks_at_exit()
    _hooks[hook] = os.getpid(), on_signal


def remove_exit_hook(hook: Callable[[], object]) -> None:
    """Remove a hook; one that was never added is ignored."""
    _hooks.pop(hook, None)


def run_exit_hooks(*, on_signal: bool = False) -> None:
    """Run the hooks of this process, or those of them for its end by a signal, in the order of their addition."""
    for hook, (process, runs_on_signal) in list(_hooks.items()):
        if process == os.getpid() and (runs_on_signal or not on_signal):
            # Once, though two threads that add the first hooks may register this function twice.
            _hooks.pop(hook, None)
            with suppress(Exception):
                hook()


@cache
def _run_hooks_at_exit() -> None:
    """Register the hooks with `threading`, which runs the latest registration first, and all before `atexit`.

    Once `concurrent.futures` has ended its pools, no address of a store can be resolved any more, and `atexit` comes
    after that. Child processes of `multiprocessing` run the functions registered with `threading`, and not `atexit`'s.
    """
    getattr(threading, "_register_atexit", atexit.register)(run_exit_hooks)
