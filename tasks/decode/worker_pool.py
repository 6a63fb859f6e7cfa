"""Processes that work for threads, one each; where one dies, another takes its place."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from typing import Generic

from tasks.decode.worker_process import DiedError, DoneT, ItemT, Work, WorkerProcess


class WorkerPool(Generic[ItemT, DoneT]):
    """The processes, one a thread that asks for work.

    Args:
        work: What they do.
        mourn: What came of an item that a process died of twice.
    """

    def __init__(self, work: Work[ItemT, DoneT], mourn: Callable[[ItemT, DiedError], DoneT]) -> None:
        self._work, self._mourn = work, mourn
        self._own = threading.local()
        self._lock = threading.Lock()
        self._living: set[WorkerProcess[ItemT, DoneT]] = set()
        self._dismissed = False

    def do(self, batch: Sequence[ItemT]) -> list[DoneT]:
        """Do a batch on the thread's process; where it dies, what is left of the batch one by one."""
        outcomes: list[DoneT] = []
        try:
            for done in self._process().do(batch):
                outcomes.append(done)  # noqa: PERF402 (they stay where the process dies over a later one)
        except DiedError:
            self._lose()
            outcomes.extend([self._do_alone(item) for item in batch[len(outcomes) :]])
        return outcomes

    def dismiss(self) -> None:
        """Kill all processes; there will be no others."""
        with self._lock:
            self._dismissed = True
            for process in self._living:
                process.kill()

    def bury(self) -> None:
        """Wait until all processes are gone; no thread may be working any more."""
        for process in self._living:
            process.close()

    def _do_alone(self, item: ItemT) -> DoneT:
        """Try an item without company: a death is its own."""
        try:
            return next(self._process().do([item]))
        except DiedError as death:
            self._lose()
            return self._mourn(item, death)

    def _process(self) -> WorkerProcess[ItemT, DoneT]:
        process: WorkerProcess[ItemT, DoneT] | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = WorkerProcess(self._work)
            with self._lock:
                self._living.add(process)
                if self._dismissed:
                    process.kill()
                    raise CancelledError
        return process

    def _lose(self) -> None:
        with self._lock:
            self._living.discard(self._own.process)
            self._own.process = None
            if self._dismissed:
                raise CancelledError
