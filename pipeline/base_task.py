"""The base of the tasks that a person starts: their dataset, their stages' context, and their record."""

import datetime as dt
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

import luigi

from pipeline.backbone_parameters import BackboneParameters
from tasks import events
from tasks.backbone.backbones import Prepared
from tasks.backbone.task import PrepareBackbone
from tasks.catalog import is_url
from tasks.download.urls import url_identity
from tasks.errors import PipelineError, SettingError
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.run_context import RunContext
from tasks.runs.record_writer import Run, join_states
from tasks.runs.records import read_record
from tasks.runtime.luigi_settings import refuse_empty_settings
from tasks.runtime.os_errors import explain_os_errors
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.task import TakeSnapshot
from tasks.stage import FileTarget
from tasks.storage.cleanup import sweep_root

#: Tells one start of the program from another; a worker's children inherit it.
_START = secrets.token_hex(4)
#: Runs with work to do that have `--notify`, by run id; `pipeline.notify` reports their end.
notifying_runs: dict[str, "BaseTask"] = {}


class BaseTask(BackboneParameters):
    """A task that a person starts: it works on a dataset for a date, with a backbone, and ends with a record."""

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
        events.set_format(self.log_format)
        if self.notify:
            notifying_runs[self.run_id] = self
        # The first stage reports a data root that this user may not enter.
        with self.explain_errors(), suppress(OSError):
            # Luigi calls this again before each stage; then the lock is held already, and nothing is left to sweep.
            if self.root.storage.lock_shared(self.root.path):
                sweep_root(self.root)
        return []

    def explain_errors(self) -> AbstractContextManager[None]:
        """Turn errors of the disk, the memory or an object store into sentences."""
        return explain_os_errors(f"The run for {self.date}", self.root.path)

    def complete(self) -> bool:
        """Whether the date's record exists and, for today, photos and model files look as they did then."""
        # Luigi would log a traceback of these errors; `run` meets the same error and raises its sentence.
        with self.explain_errors(), suppress(OSError, PipelineError):
            record = read_record(self.record_path())
            if record is None:
                return False
            own = record["run"] == self.run_id
            # A past date stays done, whatever became of its files.
            if own or self.date < dt.date.today() or record["backbone_state"] == self._backbone_state():
                return self.take_snapshot().is_current(record["state"], own=own)
        return False

    def _backbone_state(self) -> str:
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
            corrections=self.corrections,
            labels=self.labels,
            label_column=self.label_column,
        )

    @property
    def context(self) -> RunContext:
        """The context of the stages before the snapshot."""
        return RunContext(self.data_root, self.run_id)

    def snapshot_context(self, prepared: Sequence[Prepared], snapshot: TakeSnapshot) -> RunContext:
        """The context of the stages that work on a snapshot, which must have been taken."""
        return replace(
            self.context,
            snapshot=snapshot.manifest().key,
            photos=str(snapshot.photos()),
            pointer=str(snapshot.manifest_path()),
            weights=tuple((each.backbone.weights_sha256, str(each.weights)) for each in prepared),
            max_rejected=self.max_rejected,
            max_megapixels=self.max_megapixels,
            cluster=self.cluster(),
        )

    def about(self) -> Run:
        """The run as its record names it."""
        return Run(self.run_id, self.date, self.source(), self.parameters())

    def print_summary(self) -> None:
        """Write the last lines on the terminal."""
        record = read_record(self.record_path())
        if record is None:
            return
        events.set_format(self.log_format)
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
        """The last lines on the terminal, by the record of this run or of the one that left it nothing to do."""

    def figures(self, record: Mapping[str, Any]) -> list[str]:
        """Those of the last lines on the terminal that are also sent to `--notify`."""
        return self.summary(record, is_new=True)

    def rejection(self, record: Mapping[str, Any]) -> PipelineError | None:  # noqa: ARG002 (subclasses read it)
        """The error of a run that is recorded, and whose result is not good enough."""
        return None

    def event_fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the run's last event, for programs."""
        names = ("run", "date", "dataset", "snapshot", "elapsed")
        # Records of earlier versions lack labels and sources.
        return {
            **{name: record[name] for name in names},
            **{name: record.get(name) for name in ("labels", "unreached")},
            **IgnoredSummary.from_details(record).details(),
        }


for _event in (luigi.Event.SUCCESS, luigi.Event.DEPENDENCY_PRESENT):
    BaseTask.event_handler(_event)(lambda task: task.print_summary())
