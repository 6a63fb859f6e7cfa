"""The exit code of Luigi's program: that of the first failure in any of its processes.

Luigi has one exit code for all tasks that fail. Here a process that fails writes its failure into memory that the
program shares with the workers it forks, and the program ends with the code of that failure.
"""

import atexit
import gc
import json
import logging
import mmap
import os
import sys
from contextlib import suppress
from typing import NamedTuple

#: Characters of a message that are kept; each has at most six bytes in JSON.
_MAX_MESSAGE = 1000
#: Shared with the workers that Luigi forks: one byte with the exit code of the first failure, or 0; then its JSON.
_first_failure = mmap.mmap(-1, 16 * 1024)
#: Whether the task that the program was started for is known to be done.
_done = False


class RunFailure(NamedTuple):
    """A failure of Luigi's program or of one of its tasks."""

    exit_code: int | None  #: Exit code of the program; None where Luigi chooses it.
    message: str  #: The message for the user.
    run: str | None = None  #: Name of the run that failed; None for a failure outside of all runs.


def install() -> None:
    """End this program with the exit code that was set, in place of Luigi's."""
    # Else Python collects TensorFlow's garbage at exit, which takes seconds and frees memory that the system frees too.
    atexit.register(gc.freeze)
    atexit.register(_exit_with_code)


def set_failure(failure: RunFailure) -> None:
    """Set the program's failure and exit code, unless an earlier one has: later failures follow from the first one."""
    if not _first_failure[0]:
        _first_failure[0] = failure.exit_code or 0
        values = json.dumps([failure.message[:_MAX_MESSAGE], failure.run]).encode()
        _first_failure[1 : 1 + len(values)] = values


def first_failure() -> RunFailure | None:
    """Return the first failure in any process; its message is cut, and empty where two processes failed at once."""
    if not _first_failure[0]:
        return None
    try:
        return RunFailure(_first_failure[0], *json.loads(_first_failure[1:].rstrip(b"\0")))
    except ValueError:
        return RunFailure(_first_failure[0], "")


def is_stopped() -> bool:
    """Whether a signal stopped the program; its exit code is then 128 and the number of the signal, as of shells."""
    return _first_failure[0] > 128


def is_done() -> bool:
    """Whether the task that the program was started for is known to be done, by whichever worker."""
    return _done


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
