"""A worker process, which handles one item after the other and may crash or hang over any of them.

The process is spawned, not forked: a fork of a process with threads (TensorFlow's, for example) can deadlock. A fork
server would leave its socket in the temporary folder when its parent is killed.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Generic, TypeVar

from tasks.decode.resource_limits import enable_limits
from tasks.errors import MachineError
from tasks.runtime.parent import exit_with_parent

#: Wall-clock seconds without a result after which a process is killed. This is far above the limit of processor time,
#: so that a busy machine does not reach it, and a disk or server that does not answer does.
RESULT_TIMEOUT = 300.0
_START_TIMEOUT = 300.0
# Least seconds between two messages from a worker, since each message wakes the parent.
_SEND_INTERVAL = 0.25

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# Only one of several threads that wait for the same process gets its exit code.
_LOCK = threading.Lock()


class WorkerCrashError(Exception):
    """The process ended before it returned a result.

    Args:
        signal: Signal that ended the process; 0 if none did.
        hung: Whether the parent killed the process because it did not answer.
    """

    def __init__(self, signal: int, *, hung: bool) -> None:
        super().__init__(signal, hung)
        self.signal, self.hung = signal, hung


class WorkerProcess(Generic[ItemT, ResultT]):
    """A spawned process that applies a picklable function to items.

    Raises:
        MachineError: The process does not start.
    """

    def __init__(self, work: Callable[[ItemT], ResultT]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, child_connection = context.Pipe()
        self._process = context.Process(target=_serve, args=(child_connection, work), daemon=True)
        with _LOCK, _hidden_main_module():
            self._process.start()
        child_connection.close()
        try:
            self._receive(_START_TIMEOUT)
        except WorkerCrashError as exc:
            how = f" (signal {exc.signal})" if exc.signal else ""
            raise MachineError(
                f"A worker process ends as soon as it starts{how}. See whether memory is short or this "
                "user may have no more processes, and run again."
            ) from exc

    def map(self, items: Sequence[ItemT]) -> Iterator[ResultT]:
        """Yield the result of each item, in order.

        Raises:
            WorkerCrashError: The process ended; the items without a result are not done.
            Exception: The function raised it.
        """
        try:
            self._connection.send(items)
        except OSError:
            raise self._join(hung=False) from None
        missing = len(items)
        while missing:
            results = self._receive(RESULT_TIMEOUT)
            missing -= len(results)
            for result in results:
                if isinstance(result, Exception):
                    raise result
                yield result

    def kill(self) -> None:
        """Kill the process without waiting for its end."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process and wait for its end."""
        self.kill()
        self._join(hung=False)

    def _receive(self, timeout: float) -> list[ResultT | Exception]:
        if not wait([self._connection, self._process.sentinel], timeout):
            self.kill()
            raise self._join(hung=True)
        try:
            results: list[ResultT | Exception] = self._connection.recv()
        except (EOFError, OSError):
            raise self._join(hung=False) from None
        return results

    def _join(self, *, hung: bool) -> WorkerCrashError:
        with _LOCK:
            self._process.join()
            code = self._process.exitcode or 0
        self._connection.close()
        return WorkerCrashError(-min(code, 0), hung=hung)


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Keep a spawned process from importing this one's main module: Luigi's takes 0.2 s, and no worker needs it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(connection: Connection, work: Callable[[ItemT], ResultT]) -> None:
    """Run in the worker: handle batches until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    # Codecs write warnings to standard error, and cron would mail them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    exit_with_parent()
    enable_limits()
    connection.send([])
    while True:
        try:
            items = connection.recv()
        except EOFError:
            return
        _serve_batch(items, work, connection)


def _serve_batch(items: Sequence[ItemT], work: Callable[[ItemT], ResultT], connection: Connection) -> None:
    """Send results at the end of the batch, and earlier where the batch takes long."""
    results: list[ResultT | Exception] = []
    sent = time.monotonic()
    for item in items:
        try:
            results.append(work(item))
        except Exception as exc:  # noqa: BLE001 (the parent raises it)
            exc.add_note(traceback.format_exc())
            results.append(exc)
        if time.monotonic() > sent + _SEND_INTERVAL:
            connection.send(results)
            results, sent = [], time.monotonic()
    connection.send(results)
