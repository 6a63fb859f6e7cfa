"""The exit code of Luigi's program: that of the first failure in any of its processes.

Luigi has one exit code for all tasks that fail. Here a process that fails sets its own code in memory that the program
shares with the workers it forks, and the program ends with that code.
"""

import atexit
import gc
import logging
import mmap
import os
import sys
from contextlib import suppress

#: One byte, shared with the workers that Luigi forks: the exit code of the first failure, or 0.
_first_failure = mmap.mmap(-1, 1)
#: Whether the task that the program was started for is known to be done.
_done = False


def install() -> None:
    """End this program with the exit code that was set, in place of Luigi's."""
    # Else Python collects TensorFlow's garbage at exit, which takes seconds and frees memory that the system frees too.
    atexit.register(gc.freeze)
    atexit.register(_exit_with_code)


def set_exit_code(exit_code: int) -> None:
    """Set the program's exit code, unless an earlier failure has: later failures follow from the first one."""
    if not _first_failure[0]:
        _first_failure[0] = exit_code


def mark_done() -> None:
    """Exit with 0 if nothing failed, even if other workers ran some of the tasks, which Luigi counts as not run."""
    global _done  # noqa: PLW0603 (a program ends once)
    _done = True


def exit_now(exit_code: int) -> None:
    """End the process without waiting for threads, once its log and streams are flushed."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(exit_code)


def _exit_with_code() -> None:
    if _first_failure[0] or _done:
        exit_now(_first_failure[0])
