"""The base of the tasks that a person starts: their dataset, their stages' context, and their record."""

import datetime as dt
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, cast

import luigi

from pipeline.backbone_parameters import BackboneParameters
from tasks import events
from tasks.backbone.backbones import Prepared
from tasks.backbone.task import PrepareBackbone
from tasks.catalog import SAMPLE, Dataset, find_dataset, is_url
from tasks.cluster.addresses import ENGINES, Cluster, find_cluster
from tasks.download.source_fallback import ON_MISSING_SOURCE, last_known_dataset
from tasks.download.urls import url_identity
from tasks.errors import PipelineError, SettingError
from tasks.keys import fingerprint
from tasks.parameters import ChoiceParameter, DayParameter, FolderParameter, NumberParameter
from tasks.paths import AnyPath, to_path
from tasks.run_context import RunContext
from tasks.runs.record_writer import Run, join_states
from tasks.runs.records import read_record
from tasks.runtime.luigi_settings import refuse_empty_settings
from tasks.runtime.os_errors import explain_os_errors
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.task import TakeSnapshot, is_current
from tasks.stage import FileTarget
from tasks.storage.cleanup import sweep_root
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_shared

#: Tells one start of the program from another; a worker's children inherit it.
_START = secrets.token_hex(4)


class BaseTask(BackboneParameters):
    """A task that a person starts: it works on a dataset for a date, with a backbone, and ends with a record."""

    date: DayParameter = DayParameter(
        default=dt.date.today(),
        description="Date of the run. A run for today checks whether the photos have changed; a run for a past date "
        "does not.",
    )
    allow_future_date: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        significant=False,
        description="Allow a date in the future. The models of all runs until then are compared with its model.",
    )
    dataset: luigi.Parameter[str] = luigi.Parameter(
        default=SAMPLE,
        description="Name in the catalog, folder <label>/<photo>, archive of such a folder, or URL of one.",
    )
    data_root: FolderParameter = FolderParameter(
        default="data",
        description="Folder of all results, on this machine or on an object store (s3://, gs:// or "
        "az://<bucket>/<folder>).",
    )
    sample_photos: NumberParameter[int] = NumberParameter(
        int, 15, default=400, description="Number of photos that `sample` draws."
    )
    max_rejected: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.05, description="Share of photos that may be undecodable before the run fails."
    )
    max_megapixels: NumberParameter[float] = NumberParameter(
        float,
        0,
        10_000,
        default=100,
        description="Largest photo that is decoded, in millions of pixels; larger ones are rejected.",
    )
    max_shrink: NumberParameter[float] = NumberParameter(
        float,
        0,
        1,
        default=0.2,
        significant=False,
        description="Share of the last snapshot's photos that may be missing before the run fails.",
    )
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE,
        default="fail",
        significant=False,
        description="If the photos cannot be reached: fail, or use-last to train on the last snapshot's photos.",
    )
    engine: ChoiceParameter = ChoiceParameter(
        *ENGINES,
        default="local",
        significant=False,
        description="Decode photos and compute bottlenecks on this machine (local) or on a Ray cluster (ray); the "
        "results are the same.",
    )
    ray_address: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="With ray: address of the cluster, auto or <host>:<port> of its head; this machine must be a node "
        "of it. By default Ray is started on this machine for the time of the work.",
    )
    gpus_per_actor: NumberParameter[float] = NumberParameter(
        float,
        0,
        default=0,
        significant=False,
        description="With ray: GPUs for each actor that runs a network; fractions are allowed.",
    )
    log_format: ChoiceParameter = ChoiceParameter(
        "text",
        "json",
        default="text",
        significant=False,
        description="Format of standard output: text for people, or json with one object a line for programs.",
    )

    def __init__(self, *values: Any, **parameters: Any) -> None:
        super().__init__(*values, **parameters)
        self.check()

    def check(self) -> None:
        """Check the parameters before any work.

        Raises:
            SettingError: One of them is invalid, or several contradict each other.
        """
        refuse_empty_settings(self)
        # Where the machine's clock is in local time, a command may give the date of Greenwich, which is ahead.
        latest = max(dt.date.today(), dt.datetime.now(dt.UTC).date())
        if self.date > latest and not self.allow_future_date:
            raise SettingError(
                f"--date is {self.date}, and today is {latest}. Its model would stay champion until then. Correct the "
                "date or the machine's clock, or give --allow-future-date."
            )
        self.check_backbone_parameters()
        self.cluster()

    def cluster(self) -> Cluster | None:
        """The Ray cluster that works on photos; None where this machine does.

        Raises:
            SettingError: The parameters describe no cluster.
        """
        return find_cluster(self.engine, self.ray_address, self.gpus_per_actor)

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return DataRoot(to_path(self.data_root))

    @property
    def run_id(self) -> str:
        """Name of this run in the manifests of the stages that it completes."""
        return f"{self.date}-{self._hash()}-{_START}"

    def parameters(self) -> dict[str, str]:
        """Every parameter that tells this run from others of its dataset and date, as text."""
        parameters = self.to_str_params(only_significant=True)
        # The dataset names the record's folder, whichever way it was given.
        apart = ("date", "data_root", "dataset", "sample_photos")
        given = {name: value for name, value in parameters.items() if name not in apart}
        # Other people read records and reports: a URL loses its password there.
        return given | {"weights": url_identity(self.weights)} if is_url(self.weights) else given

    def _hash(self) -> str:
        return fingerprint(self.parameters())[:8]

    def source(self) -> Dataset:
        """The dataset; where its photos cannot be reached, as its last snapshot describes it.

        Raises:
            DatasetError: There is no dataset of that name, and no snapshot of one.
        """
        return find_dataset(self.dataset, self.sample_photos, partial(last_known_dataset, self.root))

    def record_path(self) -> AnyPath:
        """Path of the run's record."""
        return self.root.runs(self.source().name) / f"{self.date}-{self._hash()}.json"

    def output(self) -> FileTarget:
        """The run record; an unknown dataset has none, and `run` raises the error that says so."""
        try:
            path = self.record_path()
        except PipelineError:
            path = self.root.runs("none") / f"{self.date}.json"
        return FileTarget(path)

    def requires(self) -> list[luigi.Task]:
        """Nothing; Luigi calls this before any work, in the process that all workers are forked from."""
        events.set_format(self.events_format)
        # The first stage reports a data root that this user may not enter.
        with self.explain_errors(), suppress(OSError):
            # Luigi calls this again before each stage; then the lock is held already, and nothing is left to sweep.
            if lock_shared(self.root.path):
                sweep_root(self.root)
        return []

    def explain_errors(self) -> AbstractContextManager[None]:
        """Turn errors of the disk, the memory or an object store into sentences."""
        return explain_os_errors(f"The run for {self.date}", self.root.path)

    def complete(self) -> bool:
        """Whether the date's record exists and, for today, photos and model files look as they did then."""
        with self.explain_errors():
            return self._is_recorded()

    def _is_recorded(self) -> bool:
        try:
            record = read_record(self.record_path())
            if record is None:
                return False
            own = record["run"] == self.run_id
            # A past date stays done, whatever became of its files.
            same_model = own or self.date < dt.date.today() or record["backbone_state"] == self._backbone_state()
            state = record["state"]
            return same_model and is_current(self.date, own, state, self.source(), self.on_missing_source)
        except (OSError, PipelineError):
            # Luigi would log a traceback here; `run` meets the same error and raises its sentence.
            return False

    def _backbone_state(self) -> str:
        """Size and time of the user's model files; see `BackboneRequest.state`."""
        return join_states(request.state() for request in self.backbone_requests())

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[dt.date]) -> list[dt.date]:
        """The dates that are done, for `RangeDaily`, which binds all other parameters beforehand."""
        return [date for date in parameter_tuples if cls(date=date).complete()]

    def prepare_backbones(self) -> tuple[PrepareBackbone, ...]:
        """The tasks that find or fetch the backbones."""
        return tuple(
            PrepareBackbone(context=self.context, request=request, number=number)
            for number, request in enumerate(self.backbone_requests(), start=1)
        )

    def take_snapshot(self) -> TakeSnapshot:
        """The task that takes the snapshot."""
        return TakeSnapshot(
            context=self.context,
            dataset=self.source(),
            date=self.date,
            max_shrink=self.max_shrink,
            on_missing_source=self.on_missing_source,
        )

    @property
    def context(self) -> RunContext:
        """The context of the stages before the snapshot."""
        return RunContext(self.data_root, self.run_id)

    def snapshot_context(self, prepared: Sequence[Prepared], snapshot: TakeSnapshot) -> RunContext:
        """The context of the stages that work on a snapshot, which must have been taken."""
        return RunContext(
            data_root=self.data_root,
            run_id=self.run_id,
            snapshot=snapshot.manifest().key,
            photos=str(snapshot.photos()),
            pointer=str(snapshot.manifest_path()),
            weights=tuple((each.backbone.weights_sha256, str(each.weights)) for each in prepared),
            max_rejected=self.max_rejected,
            max_megapixels=self.max_megapixels,
            engine=self.engine,
            ray_address=self.ray_address,
            gpus_per_actor=self.gpus_per_actor,
        )

    @property
    def events_format(self) -> events.LogFormat:
        """The form in which events are written."""
        return cast("events.LogFormat", self.log_format)  # ChoiceParameter takes no other value

    def about(self) -> Run:
        """The run as its record names it."""
        return Run(self.run_id, self.date, self.source(), self.parameters())

    def print_summary(self) -> None:
        """Write the last lines on the terminal."""
        record = read_record(self.record_path())
        if record is None:
            return
        events.set_format(self.events_format)
        is_new = record["run"] == self.run_id
        if not is_new:
            self.clean_up()
        text = "\n".join(self.summary(record, is_new=is_new))
        event = "run_done" if is_new else "nothing_to_do"
        events.emit(event, text, record=self.record_path(), **self.event_fields(record))

    def clean_up(self) -> None:
        """Finish what a run that was killed after its record left undone."""
        sweep_root(self.root)

    @abstractmethod
    def summary(self, record: Mapping[str, Any], *, is_new: bool) -> list[str]:
        """The last lines on the terminal.

        Args:
            record: The run's record.
            is_new: Whether this run made the record; otherwise there was nothing to do.
        """

    def event_fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the run's last event, for programs.

        Args:
            record: The run's record.
        """
        names = ("run", "date", "dataset", "snapshot", "elapsed")
        # Records of earlier versions lack labels and sources.
        return {
            **{name: record[name] for name in names},
            **{name: record.get(name) for name in ("labels", "unreached")},
            **IgnoredSummary.from_details(record).details(),
        }


for _event in (luigi.Event.SUCCESS, luigi.Event.DEPENDENCY_PRESENT):
    BaseTask.event_handler(_event)(lambda task: task.print_summary())
