"""Base classes of the stages' Luigi tasks, which do their work, publish a manifest and report it."""

import logging
import time
from abc import abstractmethod
from typing import ClassVar

import luigi

from tasks.errors import StoreError
from tasks.events import emit
from tasks.hardware import claim_gpus
from tasks.parameters import NumberParameter, SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import LiveLine, Progress
from tasks.run_context import RunContext
from tasks.runtime import run_status
from tasks.runtime.os_errors import explain_os_errors
from tasks.runtime.parent import exit_with_parent
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.shards.quarantine import quarantine
from tasks.stage_spec import stage_name
from tasks.storage.errors import DamagedError
from tasks.storage.files import sweep
from tasks.storage.layout import DataRoot

_LOG = logging.getLogger("luigi-interface")


class FileTarget(luigi.Target):
    """A file of the data root, local or on an object store.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether the file exists."""
        return self.path.exists()


class StageTask(luigi.Task):
    """A stage of the pipeline, which does its work and then publishes a manifest, its output.

    Subclasses set `stage`, and implement `manifest_path` and `work`.
    """

    stage: ClassVar[str]
    #: Whether the stage runs a network, on this machine's GPUs if there are any.
    on_gpus: ClassVar[bool] = False

    @property
    @abstractmethod
    def context(self) -> RunContext:
        """The run that it belongs to."""

    @property
    def name(self) -> str:
        """Name of the stage in its run, which may have several stages of a kind."""
        return self.stage

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return self.context.root

    @property
    def run_id(self) -> str:
        """Name of the run in manifests."""
        return self.context.run_id

    def process_resources(self) -> dict[str, int]:
        """Return the resources that Luigi's scheduler reserves for this task, among them the GPUs."""
        return {**self.resources, **(claim_gpus() if self.on_gpus else {})}

    @abstractmethod
    def manifest_path(self) -> AnyPath:
        """Return the path of the manifest."""

    @abstractmethod
    def work(self, progress: Progress) -> StageResult:
        """Do the missing work, and publish all results but the manifest."""

    def output(self) -> "FileTarget":
        """Return the manifest as Luigi's target."""
        return FileTarget(self.manifest_path())

    def complete(self) -> bool:
        """Whether the stage is done."""
        return self.is_published()

    def is_published(self) -> bool:
        """Whether the manifest exists; one that cannot be read counts as missing, and the next run replaces it."""
        try:
            self.manifest()
        except (OSError, StoreError):
            return False
        return True

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return read_manifest(self.manifest_path())

    def run(self) -> None:
        """Do the work and publish the manifest; if a stage's file is damaged, quarantine it and start again.

        Tasks whose output is missing then run here and not by Luigi, whose scheduler does not run a task again that was
        done a moment ago.

        Raises:
            MachineError: The disk is full, read-only or broken, or memory is short.
            StoreError: A file is damaged for the second time, or no stage can make it again.
        """
        exit_with_parent()
        with explain_os_errors(f"The stage {self.name}", self.root.path):
            while not self._complete_work():
                # Not only direct dependencies: those may be complete without the ones below.
                for task in _transitive_dependencies(self):
                    if not task.complete():
                        task.run()

    def _complete_work(self) -> bool:
        """Work and publish the manifest; returns False if a damaged file was met and quarantined."""
        try:
            manifest = self._publish_work()
        except DamagedError as exc:
            message = quarantine(exc)
            _LOG.warning("%s", message)
            emit("damaged", None, stage=self.name, run=self.run_id, path=exc.path, message=message)
            return False
        run_status.finish_stage()
        counts = {name: getattr(manifest, name) for name in ("photos", "new", "reused", "seconds")}
        emit("stage_done", self.closing(manifest), stage=self.name, run=self.run_id, key=manifest.key, **counts)
        return True

    def _publish_work(self) -> Manifest:
        started = time.monotonic()
        sweep(self.manifest_path().parent)
        self.root.storage.lock_shared(self.root.path)
        run_status.start_stage(self.name)
        emit("stage_started", None, stage=self.name, run=self.run_id)
        with LiveLine(self.name, self._tell) as progress:
            outcome = self.work(progress)
        seconds = round(time.monotonic() - started, 3)
        manifest = Manifest(
            stage=self.stage, run=self.run_id, seconds=seconds, startup=progress.startup, **vars(outcome)
        )
        manifest.publish(self.manifest_path())
        return manifest

    def closing(self, manifest: Manifest) -> str:
        """Return the line that reports the finished stage."""
        counts = f"{manifest.new:>7,} new {manifest.reused:>9,} reused {manifest.seconds:>8.1f} s"
        return f"{self.name:<10} {counts}  {manifest.key}"

    def _tell(self, message: str, percentage: int) -> None:
        """Show progress on Luigi's web page. Outside a worker, Luigi sets neither function."""
        if self.set_status_message is not None:
            self.set_status_message(message)
        if self.set_progress_percentage is not None:
            self.set_progress_percentage(percentage)


def _transitive_dependencies(task: luigi.Task) -> list[luigi.Task]:
    """Return all direct and indirect dependencies of a task, each before the tasks that need it."""
    found: dict[str, luigi.Task] = {}
    for required in task.deps():
        found.update({each.task_id: each for each in (*_transitive_dependencies(required), required)})
    return list(found.values())


class RunStageTask(StageTask):
    """A stage of a run, which hands its context on to the stages that it requires."""

    context: SettingsParameter[RunContext] = SettingsParameter(
        RunContext, description="The run and its snapshot, as JSON."
    )
    number: NumberParameter[int] = NumberParameter(
        int, 1, default=1, significant=False, description="Position of this stage among those of its kind in the run."
    )

    @property
    def name(self) -> str:
        """Name of the stage in its run: `decode`, and `decode-2` for the second of its kind."""
        return stage_name(self.stage, self.number)

    @property
    def snapshot(self) -> str:
        """Key of the snapshot."""
        return self.context.snapshot

    def to_str_params(self, only_significant: bool = False, only_public: bool = False) -> dict[str, str]:
        """The parameters as text; those that make up the task's id leave out where things are and who works."""
        params: dict[str, str] = super().to_str_params(only_significant, only_public)
        return {**params, "context": self.context.identity} if only_significant else params
