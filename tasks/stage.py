"""The Luigi side that every stage shares: a task that works, publishes a manifest, and tells of it in plain words."""

import atexit
import gc
import logging
import time
from abc import abstractmethod
from typing import Any, ClassVar

import luigi

from tasks.cluster.addresses import ENGINES, Cluster, find_cluster
from tasks.errors import BackboneError, StoreError
from tasks.events import emit
from tasks.hardware import claim_gpus
from tasks.parameters import ChoiceParameter, FolderParameter, NumberParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import LiveLine, Progress
from tasks.runtime import run_status
from tasks.runtime.luigi_failures import report_failures
from tasks.runtime.luigi_settings import apply_defaults
from tasks.runtime.luigi_worker import put_to_work
from tasks.runtime.os_errors import explain_os_errors
from tasks.runtime.signals import exit_with_parent, take_over
from tasks.runtime.standard_streams import reopen_closed_streams
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.shards.quarantine import quarantine
from tasks.stage_names import stage_name
from tasks.storage.errors import DamagedError
from tasks.storage.files import sweep
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_shared

_LOG = logging.getLogger("luigi-interface")

reopen_closed_streams()
apply_defaults()
take_over()
put_to_work()
report_failures()


class FileTarget(luigi.Target):
    """A file of the data root, wherever that is.

    Args:
        path: The file.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()


class StageTask(luigi.Task):
    """A stage of the pipeline: does its work, then publishes a manifest, which is its output.

    Subclasses set `stage`, say where the manifest is, and do the work.
    """

    data_root: FolderParameter = FolderParameter(description="Folder of everything the stages write.")
    run_id: luigi.Parameter[str] = luigi.Parameter(
        default="by hand", significant=False, description="The run that this stage belongs to."
    )

    stage: ClassVar[str]
    #: Whether it computes with a network, and so on this machine's GPUs where it has any.
    on_gpus: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What the stage is called in its run, which may have several of a kind."""
        return self.stage

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return DataRoot(to_path(self.data_root))

    def process_resources(self) -> dict[str, int]:
        """What Luigi's scheduler lets no other task have meanwhile: the GPUs, of a stage that computes on them."""
        return {**self.resources, **(claim_gpus() if self.on_gpus else {})}

    @abstractmethod
    def manifest_path(self) -> AnyPath:
        """Where the manifest is."""

    @abstractmethod
    def work(self, progress: Progress) -> StageResult:
        """Do what is missing; everything but the manifest is published when it returns."""

    def output(self) -> "FileTarget":
        """The manifest."""
        return FileTarget(self.manifest_path())

    def complete(self) -> bool:
        """Whether the stage is done."""
        return self.is_published()

    def is_published(self) -> bool:
        """Whether the manifest is there; one that cannot be read counts as absent, and the next run replaces it."""
        try:
            self.manifest()
        except (OSError, StoreError):
            return False
        return True

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return read_manifest(self.manifest_path())

    def run(self) -> None:
        """Clear up after crashed runs, work, measure the time, and publish the manifest.

        Where a file is damaged that a stage has made, it is set aside, what is missing then is made again, and so is
        the work. Not by Luigi: its scheduler does not believe that what was done a moment ago is to be done again.

        Raises:
            MachineError: The disk is full, read-only or broken, or memory is short.
            StoreError: A file is damaged for the second time, or nothing makes it again.
        """
        exit_with_parent()
        with explain_os_errors(f"The stage {self.name}", self.root.path):
            while not self._complete_work():
                # Those further down too: what lies between may be complete without them.
                for task in _transitive_dependencies(self):
                    if not task.complete():  # type: ignore[no-untyped-call]  # Luigi's has no types
                        task.run()  # type: ignore[no-untyped-call]

    def _complete_work(self) -> bool:
        """Work, and publish the manifest; False where a damaged file was in the way, which is set aside."""
        try:
            manifest = self._publish_work()
        except DamagedError as exc:
            told = quarantine(exc)
            _LOG.warning("%s", told)
            emit("damaged", None, stage=self.name, run=self.run_id, path=exc.path, message=told)
            return False
        run_status.finish_stage()
        counts = {name: getattr(manifest, name) for name in ("photos", "new", "reused", "seconds")}
        emit("stage_done", self.closing(manifest), stage=self.name, run=self.run_id, key=manifest.key, **counts)
        return True

    def _publish_work(self) -> Manifest:
        started = time.monotonic()
        sweep(self.manifest_path().parent)
        lock_shared(self.root.path)
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
        """The line that a person reads when the stage is done."""
        counts = f"{manifest.new:>7,} new {manifest.reused:>9,} reused {manifest.seconds:>8.1f} s"
        return f"{self.name:<10} {counts}  {manifest.key}"

    def _tell(self, message: str, percentage: int) -> None:
        """Show progress on Luigi's web page; Luigi sets neither function outside a worker."""
        if self.set_status_message is not None:
            self.set_status_message(message)
        if self.set_progress_percentage is not None:
            self.set_progress_percentage(percentage)


def _transitive_dependencies(task: luigi.Task) -> list[luigi.Task]:
    """All that a task stands on, each before what stands on it."""
    found: dict[str, luigi.Task] = {}
    for required in task.deps():  # type: ignore[no-untyped-call]  # Luigi's has no types
        found.update({below.task_id: below for below in (*_transitive_dependencies(required), required)})
    return list(found.values())


@StageTask.event_handler(luigi.Event.SUCCESS)  # type: ignore[no-untyped-call, untyped-decorator]  # Luigi's has no types
def _skip_gc_at_exit(_: StageTask) -> None:
    """Let Luigi's program end at once.

    Python would first look through all that TensorFlow made for what refers to itself: seconds, for memory that goes
    back to the system anyway.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


class SnapshotStageTask(StageTask):
    """A stage that works on a snapshot, whose key is known by then."""

    snapshot: luigi.Parameter[str] = luigi.Parameter(description="Key of the snapshot.")
    folder: luigi.Parameter[str] = luigi.Parameter(
        significant=False, description="The folder that the snapshot's paths are relative to."
    )
    taken: luigi.Parameter[str] = luigi.Parameter(
        default="", significant=False, description="Manifest of the date's snapshot; empty where none is to be renewed."
    )
    weights: luigi.DictParameter = luigi.DictParameter(
        default={}, significant=False, description="Where the weights of backbones are, by their sha256."
    )
    max_rejected: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.05, description="Share of photos that may be rejected before the run ends with an error."
    )
    max_megapixels: NumberParameter[float] = NumberParameter(
        float, 0, 10_000, default=100, description="Millions of pixels that a photo may have before it is rejected."
    )

    engine: ChoiceParameter = ChoiceParameter(
        *ENGINES, default="local", significant=False, description="Who does the work on photos."
    )
    ray_address: luigi.Parameter[str] = luigi.Parameter(
        default="", significant=False, description="Of the Ray cluster; empty starts Ray on this machine."
    )
    gpus_per_actor: NumberParameter[float] = NumberParameter(
        float, 0, default=0, significant=False, description="GPUs of each actor on Ray that can use one."
    )

    number: NumberParameter[int] = NumberParameter(
        int, 1, default=1, significant=False, description="Which of its kind this stage is in its run."
    )

    @property
    def name(self) -> str:
        """What the stage is called in its run: several of a kind are told apart by their numbers."""
        return stage_name(self.stage, self.number)

    def statistics(self) -> AnyPath | None:
        """Where the statistics of the snapshot's dataset are kept; None where nobody says which dataset it is."""
        return self.root.statistics(to_path(self.taken).parent.name) if self.taken else None

    @property
    def weight_paths(self) -> dict[str, AnyPath]:
        """Where the weights of backbones are, by their sha256."""
        return {sha256: to_path(text) for sha256, text in self.weights.items()}

    def weights_of(self, sha256: str) -> AnyPath:
        """Where the weights of a backbone are, by the hash that its settings have.

        Raises:
            BackboneError: The task was not told.
        """
        paths = self.weight_paths
        if sha256 not in paths:
            raise BackboneError(f"--weights does not say where the weights with the sha256 {sha256} are. Name them.")
        return paths[sha256]

    @property
    def cluster(self) -> Cluster | None:
        """The cluster that does the work on photos; None where this machine does."""
        return find_cluster(self.engine, self.ray_address, self.gpus_per_actor)

    def shared(self) -> dict[str, Any]:
        """The parameters that the stage before this one takes too."""
        return {
            "data_root": self.data_root,
            "run_id": self.run_id,
            "snapshot": self.snapshot,
            "folder": self.folder,
            "taken": self.taken,
            "weights": self.weights,
            "max_rejected": self.max_rejected,
            "max_megapixels": self.max_megapixels,
            "engine": self.engine,
            "ray_address": self.ray_address,
            "gpus_per_actor": self.gpus_per_actor,
        }
