"""A Luigi worker that cooperates through luigid with the workers of other commands and machines."""

import time

import luigi
import luigi.worker
from luigi.rpc import RemoteScheduler
from luigi.worker import GetWorkResponse

from tasks.events import emit
from tasks.runtime.exit_codes import mark_done
from tasks.runtime.luigi_failures import report_planning_error

#: Seconds to wait until luigid accepts a finished task that has to run again; its own default is ten.
_RERUN_TIMEOUT = 60.0


def install() -> None:
    """Make Luigi create this worker in place of its own."""
    luigi.worker.Worker = Worker  # type: ignore[misc]  # a subclass of it


class Worker(luigi.worker.Worker):
    """Waits for stages that other workers run, reports what it waits for, and takes over stages that they leave.

    With a local scheduler it works as Luigi's own. Luigi's own with luigid and `[worker] keep_alive` waits without a
    message, takes over after a quarter of an hour, retries failed tasks without an end, and exits with an error if
    others ran some of the tasks. It also skips a task that has to run again within ten seconds of its end, because
    luigid ignores it for that long (`stable_done_cooldown_secs`).
    """

    #: The task that the command was started for.
    _root: luigi.Task | None = None
    #: Whether that task is known to be done.
    _root_done = False
    #: Whether Luigi could plan all tasks.
    _all_planned = True
    #: Ids of the tasks that other workers ran when this one last had nothing to do.
    _awaited: frozenset[str] = frozenset()
    #: The messages about them.
    _reported: frozenset[str] = frozenset()
    #: Time at which luigid first reported no work although the root task is not done.
    _rerun_since: float | None = None

    def add(self, task: luigi.Task, multiprocess: bool = False, processes: int = 0) -> bool:
        """Plan a task and its dependencies."""
        self._root = self._root or task
        added: bool = super().add(task, multiprocess, processes)
        self._all_planned &= added
        return added

    def _log_complete_error(self, task: luigi.Task, tb: str) -> None:
        if not report_planning_error(tb):
            super()._log_complete_error(task, tb)

    def _log_dependency_error(self, task: luigi.Task, tb: str) -> None:
        if not report_planning_error(tb):
            super()._log_dependency_error(task, tb)

    def run(self) -> bool:
        """Run tasks until none is left; tasks that other workers ran count as done."""
        succeeded: bool = super().run()
        if self._cooperates() and self._is_root_done():
            mark_done()
        return succeeded

    def _cooperates(self) -> bool:
        """Whether luigid distributes the work, and nothing has failed in this worker."""
        return isinstance(self._scheduler, RemoteScheduler) and self._all_planned and bool(self.run_succeeded)

    def _is_root_done(self) -> bool:
        root = self._root
        self._root_done |= any(task == root and status == "DONE" for task, status, _ in self._add_task_history)
        if not self._root_done and root is not None and root.complete():
            self._root_done = True
            root.trigger_event(luigi.Event.DEPENDENCY_PRESENT, root)
        return self._root_done

    def _keep_alive(self, answer: GetWorkResponse) -> bool:
        """Whether to ask luigid again after it had no work; a worker with a failure ends, so that it is reported."""
        if not self._cooperates():
            return False
        # Luigi's own does not wait while another worker runs the root task itself.
        awaits = self._config.keep_alive and answer.running_tasks
        if awaits or super()._keep_alive(answer):
            self._wait_for(answer)
            return True
        return self._retry_root()

    def _retry_root(self) -> bool:
        """Plan the root task again while luigid still takes it for done; returns False when there is no use in it."""
        root = self._root
        if root is None or self._is_root_done():
            return False
        if self._rerun_since is None:
            self._rerun_since = time.monotonic()
            name = self._stage_name(root.task_id)
            emit("waiting", f"luigid still lists {name} as done; waiting some seconds until it runs {name} again.")
        return time.monotonic() - self._rerun_since < _RERUN_TIMEOUT and self.add(root)

    def _wait_for(self, answer: GetWorkResponse) -> None:
        """Report the tasks of other workers, and take over those in which they failed or were killed."""
        # luigid itself looks for lost workers once a minute.
        self._scheduler.prune()
        running = {task["task_id"]: task.get("host", "Another machine") for task in answer.running_tasks}
        left = self._awaited - running.keys()
        for task_id in left:
            self._scheduler.forgive_failures(task_id=task_id)
        messages = {
            f"{host} is running {self._stage_name(task_id)}; waiting until it has ended."
            for task_id, host in running.items()
        }
        if not running and not left:
            messages = {"Other workers use what the next stage needs, such as this machine's GPUs; waiting for them."}
        for message in sorted(messages - self._reported):
            emit("waiting", message)
        self._awaited, self._reported = frozenset(running), frozenset(messages)

    def _stage_name(self, task_id: str) -> str:
        task = self._scheduled_tasks.get(task_id)
        return str(getattr(task, "stage", task_id.partition("_")[0]))
