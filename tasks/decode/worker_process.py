"""A process that does one thing after the other, and may die or hang over any of them.

It is started afresh rather than forked from ours, since a fork of a process that has threads (TensorFlow's, say) can
lock up; nor from a server of forks, whose socket stays in the temporary folder of whoever is killed.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from tasks.decode.resource_limits import take_bounds
from tasks.errors import MachineError

#: Seconds of the clock after which a process that says nothing is killed: much more than the processor time that one
#: thing may take, so that this is not met on a busy machine, but where a file's disk or server does not answer.
PATIENCE = 300.0
_START_PATIENCE = 300.0
# Seconds between messages at least, since each of them wakes the other process.
_TELL_INTERVAL = 0.25

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")
Work = Callable[[Sequence[ItemT]], list[DoneT]]

# Of several threads that look after a process's end, only one would get its exit code.
_LOCK = threading.Lock()


class DiedError(Exception):
    """The process ended over an item.

    Args:
        signal: What killed it; 0 where it ended in another way.
        hung: Whether we killed it, since it did not answer.
    """

    def __init__(self, signal: int, *, hung: bool) -> None:
        super().__init__(signal, hung)
        self.signal, self.hung = signal, hung


class WorkerProcess(Generic[ItemT, DoneT]):
    """A process of its own for some work.

    Args:
        work: What to do: a function of a module, or a partial of one. It is called with one item at a time.

    Raises:
        MachineError: The process does not start.
    """

    def __init__(self, work: Work[ItemT, DoneT]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        with _LOCK:
            self._process.start()
        theirs.close()
        try:
            self._receive(_START_PATIENCE)
        except DiedError as exc:
            how = f" (signal {exc.signal})" if exc.signal else ""
            raise MachineError(
                f"A process that decodes photos ends as soon as it starts{how}. See whether memory is short or this "
                "user may have no more processes, and run again."
            ) from exc

    def do(self, items: Sequence[ItemT]) -> Iterator[DoneT]:
        """Do the work on items, and yield what came of each.

        Raises:
            DiedError: The process ended over one of the items that nothing was yielded of; it is of no use any more.
            Exception: What the work raised.
        """
        try:
            self._connection.send(items)
        except OSError:
            raise self._death(hung=False) from None
        left = len(items)
        while left:
            outcomes = self._receive(PATIENCE)
            left -= len(outcomes)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process, and wait until it is gone."""
        self.kill()
        self._death(hung=False)

    def _receive(self, patience: float) -> list[DoneT | Exception]:
        ready = wait([self._connection, self._process.sentinel], patience)
        if not ready:
            self.kill()
            raise self._death(hung=True)
        try:
            outcomes: list[DoneT | Exception] = self._connection.recv()
        except (EOFError, OSError):
            raise self._death(hung=False) from None
        return outcomes

    def _death(self, *, hung: bool) -> DiedError:
        with _LOCK:
            self._process.join()
            code = self._process.exitcode or 0
        self._connection.close()
        return DiedError(-min(code, 0), hung=hung)


def _serve(connection: Connection, work: Work[ItemT, DoneT]) -> None:
    """Work on what comes until nothing will; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Codecs tell of bad bytes there, and cron would mail it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A parent that was killed leaves no process that works for nobody.
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    take_bounds()
    connection.send([])
    while True:
        try:
            items = connection.recv()
        except EOFError:
            return
        _work_through(items, work, connection)


def _work_through(items: Sequence[ItemT], work: Work[ItemT, DoneT], connection: Connection) -> None:
    """Work on items, and tell of those that are done at the end or, where that is long until then, before."""
    outcomes: list[DoneT | Exception] = []
    told = time.monotonic()
    for item in items:
        outcome = _outcome(work, item)
        outcomes.append(outcome)
        if time.monotonic() > told + _TELL_INTERVAL:
            connection.send(outcomes)
            outcomes, told = [], time.monotonic()
    connection.send(outcomes)


def _outcome(work: Work[ItemT, DoneT], item: ItemT) -> DoneT | Exception:
    try:
        return work([item])[0]
    except Exception as exc:  # noqa: BLE001 (the parent raises it)
        exc.add_note(traceback.format_exc())
        return exc


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
