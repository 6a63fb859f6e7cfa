"""Ctrl-C and SIGTERM end Luigi's program at once, with a sentence on what is kept.

Everything that is published is complete, so there is nothing to clean up.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from types import FrameType

from tasks.events import emit
from tasks.runtime import run_status
from tasks.runtime.exit_codes import RunFailure, exit_now, set_failure
from tasks.runtime.exit_hooks import run_exit_hooks
from tasks.runtime.run_end import report_end

#: Seconds for the message, and again for the exit hooks, after which the process ends in any case.
_STOP_TIMEOUT = 2.0
#: Time limit in seconds for the listeners of the program's end; a system that shuts down waits longer.
_REPORT_TIMEOUT = 5.0
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


def install() -> None:
    """Answer signals in a thread, so that a computation of minutes in native code delays nothing."""
    # Its own descriptor: `tasks.runtime.standard_streams` may redirect standard error when a signal arrives.
    errors = os.dup(sys.stderr.fileno())
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in _NAMES:
        signal.signal(number, _do_nothing)
    # Python calls its handlers in the main thread, between two bytecodes; the system's handler writes to this file at
    # once.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_restore_default_handlers)
    threading.Thread(target=_end_on_signal, args=(reader, errors), name="signals", daemon=True).start()


def _end_on_signal(reader: int, errors: int) -> None:
    """Wait for a signal, kill the workers, report what is kept, and end the process."""
    number = 0
    while number not in _NAMES:
        number = os.read(reader, 1)[0]
    name, code = _NAMES[signal.Signals(number)], 128 + number  # the exit code of shells
    failure = RunFailure(code, f"Stopped by {name}{run_status.describe_progress()}")
    set_failure(failure)
    # Each write below blocks where the reader of a pipe has stopped reading.
    with _exit_after(_STOP_TIMEOUT, code):
        _kill_workers()
        with suppress(OSError):
            os.write(errors, f"\n{failure.message}\n".encode())
        emit("stopped", None, signal=name, exit_code=code)
    with _exit_after(_REPORT_TIMEOUT + _STOP_TIMEOUT, code):
        report_end((), failure, _REPORT_TIMEOUT)
    with _exit_after(_STOP_TIMEOUT, code):
        # Luigi may have started others meanwhile.
        _kill_workers()
        run_exit_hooks(on_signal=True)
        exit_now(code)


def _kill_workers() -> None:
    """Kill all workers; processes that they started end with them."""
    for worker in active_children():
        worker.kill()


@contextmanager
def _exit_after(seconds: float, code: int) -> Iterator[None]:
    """End the process if the block takes longer."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.start()
    yield
    timer.cancel()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal: without a handler in Python, nothing is written to the wakeup file."""


def _restore_default_handlers() -> None:
    """Let a signal end a forked worker, which has no thread that waits for signals."""
    signal.set_wakeup_fd(-1)
    for number in _NAMES:
        signal.signal(number, signal.SIG_DFL)
