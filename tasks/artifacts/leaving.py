"""What a process does as its last act for what it has on an object store, while the store can still be reached."""

import atexit
import concurrent.futures.thread  # noqa: F401 (what was registered first is called last, and this registers itself)
import os
import threading
from collections.abc import Callable
from contextlib import suppress

# Python's own hook for its pools of threads: once they have ended nobody finds out the address of a store any more, and
# what `atexit` calls is called after that. Child processes of `multiprocessing` come to it too, and not to the other.
_register: Callable[[Callable[[], None]], object] = getattr(threading, "_register_atexit", atexit.register)


def at_exit(leave: Callable[[], object]) -> None:
    """Call something when this process ends, and not at the end of one that it forks; what it raises is no matter."""
    process = os.getpid()

    def end() -> None:
        if os.getpid() == process:
            with suppress(Exception):
                leave()

    _register(end)
