"""How Luigi's program ends: with an exit code for the kind of failure, and at once when it is asked to.

Luigi knows one exit code for all tasks that fail. A worker notes the kind of failure in memory that it shares with the
program that started it, and the program's last act is to end with it.
"""

import atexit
import logging
import mmap
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import parent_process
from types import FrameType

from tasks.errors import BUG
from tasks.events import emit
from tasks.runtime import run_status
from tasks.runtime.exit_hooks import run_exit_hooks

#: Seconds to say what is kept, and to give back what others wait for.
_LAST_WORDS = 2.0
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
#: One byte, shared with the workers that Luigi forks: the exit code of the first failure, 0 without.
_failure = mmap.mmap(-1, 1)
#: Whether what the program was started for is known to be done.
_done = False
#: The process that follows its parent already; a fork of it does not.
_follows = 0


def set_exit_code(exit_code: int) -> None:
    """Let the program end with this exit code, unless a failure was noted before: what follows comes of that one."""
    if not _failure[0]:
        _failure[0] = exit_code


def mark_done() -> None:
    """Let the program end well unless a failure was noted, whatever Luigi makes of the part that others had in it."""
    global _done  # noqa: PLW0603 (a program ends once)
    _done = True


def take_over() -> None:
    """Answer for the end of the process, where it is Luigi's program; in any other this does nothing."""
    if not hasattr(sys.modules["__main__"], "luigi_run") or threading.current_thread() is not threading.main_thread():
        return
    atexit.register(_end)
    # Not where it may lead by then: some libraries' lines are held back (`tasks.runtime.capture_stderr`).
    errors = os.dup(sys.stderr.fileno())
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in _NAMES:
        signal.signal(number, _leave_to_the_watch)
    # Python itself calls a handler only between two of its own steps, and a network's takes minutes; this file is
    # written to by the system's signal handler, so that a thread can answer meanwhile.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_let_signals_end_it)
    threading.Thread(target=_watch, args=(reader, errors), name="signals", daemon=True).start()


def exit_with_parent() -> None:
    """Let a worker that Luigi forked end when the program that started it does, however that ends."""
    global _follows  # noqa: PLW0603 (a process has one parent)
    parent = parent_process()
    if parent is None or _follows == os.getpid():
        return
    _follows = os.getpid()

    def follow() -> None:
        parent.join()
        os._exit(BUG)

    threading.Thread(target=follow, name="parent", daemon=True).start()


def _end() -> None:
    if _failure[0] or _done:
        _exit(_failure[0])


def _watch(reader: int, errors: int) -> None:
    """Wait for a signal, say what is kept, and end: all that is published is whole, so nothing is to be put right."""
    number = 0
    while number not in _NAMES:
        number = os.read(reader, 1)[0]
    name, code = _NAMES[signal.Signals(number)], 128 + number  # as shells have it
    # Whoever reads may have stopped to, and then every word waits for ever.
    threading.Timer(_LAST_WORDS, os._exit, (code,)).start()
    _stop_workers()
    with suppress(OSError):
        os.write(errors, f"\nStopped by {name}{run_status.describe_progress()}\n".encode())
    emit("stopped", None, signal=name, exit_code=code)
    run_exit_hooks(stopped=True)
    _exit(code)


def _stop_workers() -> None:
    """End the workers that Luigi forked; theirs end by themselves when they do."""
    from multiprocessing import active_children  # noqa: PLC0415 (Luigi has imported it by then)

    for child in active_children():
        child.kill()


def _exit(code: int) -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _leave_to_the_watch(number: int, frame: FrameType | None) -> None:
    """Do nothing: a handler is needed for the wakeup file to be written to."""


def _let_signals_end_it() -> None:
    """A worker is its parent's: it has no watch, and ends as a signal says."""
    signal.set_wakeup_fd(-1)
    for number in _NAMES:
        signal.signal(number, signal.SIG_DFL)
