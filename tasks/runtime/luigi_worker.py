"""Luigi's worker, as it gets along with those of other commands and machines that one `luigid` gives work to."""

import time

import luigi
import luigi.worker
from luigi.rpc import RemoteScheduler
from luigi.worker import GetWorkResponse

from tasks.events import emit
from tasks.runtime.luigi_failures import report_traceback
from tasks.runtime.signals import mark_done

#: Seconds for which a scheduler may believe that what it knows as done stays so: luigid does for ten.
_BELIEVED = 60.0


class Worker(luigi.worker.Worker):
    """Waits for what others are at, says so, and takes over what they leave; with a scheduler of its own as Luigi's.

    Luigi's own, with `[worker] keep_alive`, waits in silence, takes over after a quarter of an hour, tries what failed
    again and again without an end, and ends with an error where others did some of the work. What is to be done anew
    within ten seconds of being done it leaves undone, for luigid does not listen (`stable_done_cooldown_secs`).
    """

    #: What the command was started for.
    _root: luigi.Task | None = None
    #: Whether that is known to be done.
    _done = False
    #: Whether all tasks could be planned.
    _planned = True
    #: Tasks that others were at when this one last had nothing to do.
    _awaited: frozenset[str] = frozenset()
    #: What was said of that.
    _told: frozenset[str] = frozenset()
    #: When this one first had nothing to do although what it was started for is not done.
    _doubted: float | None = None

    def add(self, task: luigi.Task, multiprocess: bool = False, processes: int = 0) -> bool:
        """Plan a task and what it stands on."""
        self._root = self._root or task
        added: bool = super().add(task, multiprocess, processes)  # type: ignore[no-untyped-call]  # Luigi's has no types
        self._planned &= added
        return added

    def _log_complete_error(self, task: luigi.Task, tb: str) -> None:
        if not report_traceback(tb):
            super()._log_complete_error(task, tb)  # type: ignore[no-untyped-call]  # Luigi's has no types

    def _log_dependency_error(self, task: luigi.Task, tb: str) -> None:
        if not report_traceback(tb):
            super()._log_dependency_error(task, tb)  # type: ignore[no-untyped-call]  # Luigi's has no types

    def run(self) -> bool:
        """Work; what others have done meanwhile is done."""
        succeeded: bool = super().run()  # type: ignore[no-untyped-call]  # Luigi's has no types
        if self._goes_well() and self._is_done():
            mark_done()
        return succeeded

    def _goes_well(self) -> bool:
        """Whether it is one of many and nothing of what it did or planned has failed."""
        return isinstance(self._scheduler, RemoteScheduler) and self._planned and bool(self.run_succeeded)

    def _is_done(self) -> bool:
        root = self._root
        self._done |= any(task == root and status == "DONE" for task, status, _ in self._add_task_history)
        if not self._done and root is not None and root.complete():  # type: ignore[no-untyped-call]  # Luigi's has no types
            self._done = True
            root.trigger_event(luigi.Event.DEPENDENCY_PRESENT, root)  # type: ignore[no-untyped-call]
        return self._done

    def _keep_alive(self, answer: GetWorkResponse) -> bool:
        """Whether to stay where there is nothing to do now; what has failed here said what is to be done about it."""
        if not self._goes_well():
            return False
        # To Luigi, what the command was started for is not worth waiting for where another worker is at that itself.
        awaits = self._config.keep_alive and answer.running_tasks
        if awaits or super()._keep_alive(answer):  # type: ignore[no-untyped-call]  # Luigi's has no types
            self._wait_for(answer)
            return True
        return self._plans_again()

    def _plans_again(self) -> bool:
        """Plan again what luigid passes over as done, until it listens; returns whether that may still come to be."""
        root = self._root
        if root is None or self._is_done():
            return False
        if self._doubted is None:
            self._doubted = time.monotonic()
            name = self._name(root.task_id)
            emit("waiting", f"luigid believes for some seconds that {name} is still done; waiting until it does not.")
        return time.monotonic() - self._doubted < _BELIEVED and self.add(root)

    def _wait_for(self, answer: GetWorkResponse) -> None:
        """Say what others are at, and take over what they have failed in or were killed over."""
        # It looks for workers that are gone once a minute by itself.
        self._scheduler.prune()
        running = {told["task_id"]: told.get("host", "Another machine") for told in answer.running_tasks}
        left = self._awaited - running.keys()
        for task_id in left:
            self._scheduler.forgive_failures(task_id=task_id)
        whys = {f"{host} is at {self._name(task_id)}; waiting until it has ended." for task_id, host in running.items()}
        if not running and not left:
            whys = {"Others have what comes next, such as this machine's GPUs; waiting until they have ended."}
        for why in sorted(whys - self._told):
            emit("waiting", why)
        self._awaited, self._told = frozenset(running), frozenset(whys)

    def _name(self, task_id: str) -> str:
        task = self._scheduled_tasks.get(task_id)
        return str(getattr(task, "stage", task_id.partition("_")[0]))


def put_to_work() -> None:
    """Let Luigi's program, and whoever builds tasks here, have this worker."""
    luigi.worker.Worker = Worker  # type: ignore[misc]  # it is one
