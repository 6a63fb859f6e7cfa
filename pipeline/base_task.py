"""What the root tasks share: their photos, their backbone, and the record that says what they came to."""

import datetime as dt
import secrets
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, cast

import luigi

from tasks import events
from tasks.backbone.backbones import Prepared
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.backbone.task import PrepareBackbone
from tasks.catalog import SAMPLE, Dataset, find_dataset, is_url, split_backbones
from tasks.cluster.addresses import ENGINES, Cluster, find_cluster
from tasks.decode.settings import Encoding
from tasks.download.source_fallback import ON_MISSING_SOURCE, remembered
from tasks.download.urls import identity
from tasks.errors import PipelineError, SettingError
from tasks.keys import fingerprint
from tasks.parameters import ChoiceParameter, DayParameter, FolderParameter, NumberParameter
from tasks.paths import AnyPath, to_path
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
#: Parameters that describe one backbone, and so do not go with several.
_OF_ONE_BACKBONE = ("weights", "image_size", "scaling", "input_tensor", "bottleneck_tensor")


class RootTask(luigi.Task):
    """A task that a person starts: it works on a dataset for a date, with a backbone, and ends with a record."""

    date: DayParameter = DayParameter(
        default=dt.date.today(), description="Date of the run; today's looks at the photos again, a past one does not."
    )
    allow_future_date: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        significant=False,
        description="Run for a date that is yet to come, whose model the runs until then are compared with.",
    )
    dataset: luigi.Parameter[str] = luigi.Parameter(
        default=SAMPLE,
        description="A name of the catalog, a folder <label>/<photo>, an archive of one, or its URL.",
    )
    data_root: FolderParameter = FolderParameter(
        default="data",
        description="Folder of everything that the stages write; s3://, gs:// or az://<bucket>/<folder> is one on an "
        "object store.",
    )
    sample_photos: NumberParameter[int] = NumberParameter(
        int, 15, default=400, description="How many photos `sample` draws."
    )
    max_rejected: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.05, description="Share of photos that may be unreadable before the run fails."
    )
    max_megapixels: NumberParameter[float] = NumberParameter(
        float, 0, 10_000, default=100, description="Millions of pixels that a photo may have; larger ones are rejected."
    )
    max_shrink: NumberParameter[float] = NumberParameter(
        float,
        0,
        1,
        default=0.2,
        significant=False,
        description="Share of the last snapshot's photos that may be gone before the run fails.",
    )
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE,
        default="fail",
        significant=False,
        description="What to do where the photos cannot be reached: fail, or use-last, the last snapshot's photos.",
    )
    engine: ChoiceParameter = ChoiceParameter(
        *ENGINES,
        default="local",
        significant=False,
        description="Who decodes photos and computes bottlenecks: this machine alone, or Ray, with the same results.",
    )
    ray_address: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="Of ray: the cluster that this machine is a node of, as auto or its head's <host>:<port>; by "
        "default Ray is started on this machine for as long as it is needed.",
    )
    gpus_per_actor: NumberParameter[float] = NumberParameter(
        float, 0, default=0, significant=False, description="Of ray: GPUs for each network, or the part of one."
    )
    log_format: ChoiceParameter = ChoiceParameter(
        "text",
        "json",
        default="text",
        significant=False,
        description="What is written to standard output: text for people, or JSON, one object a line for each event.",
    )

    backbone: luigi.Parameter[str] = luigi.Parameter(
        default="efficientnet_lite0",
        description="The pretrained network: a name of the catalog, keras:<Name> for a model of "
        "keras.applications, or the path of a SavedModel, a .keras file or a frozen graph (.pb). Several with + "
        "between them put their bottlenecks side by side.",
    )
    weights: luigi.Parameter[str] = luigi.Parameter(
        default="", description="A file or URL in place of the backbone's own weights."
    )
    image_size: NumberParameter[int] = NumberParameter(
        int, 0, 4096, default=0, description="Height and width of its input in pixels; 0 is the backbone's own."
    )
    image_encoding: ChoiceParameter = ChoiceParameter(
        "jpeg", "png", default="jpeg", description="How decoded photos are stored."
    )
    scaling: ChoiceParameter = ChoiceParameter(
        AUTO,
        "raw",
        "unit",
        "symmetric",
        "inception",
        "torch",
        "caffe",
        default=AUTO,
        description="How a model of your own wants its pixels: raw is 0 to 255, unit 0 to 1, symmetric -1 to 1, "
        "inception (x - 128) / 128, torch and caffe as Keras' modes of these names; auto is the backbone's own.",
    )
    input_tensor: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Of a frozen graph of your own: the tensor that takes the scaled pixels."
    )
    bottleneck_tensor: luigi.Parameter[str] = luigi.Parameter(
        default="",
        description="Of a model of your own: the tensor, output or layer that gives the bottleneck; further ones "
        "follow after commas.",
    )
    layers: ChoiceParameter = ChoiceParameter(
        AUTO,
        LAST,
        default=AUTO,
        description="Which layers make a bottleneck: auto is the last one and the earlier ones that the backbone "
        "names, last is the last one alone.",
    )

    def __init__(self, *values: Any, **parameters: Any) -> None:
        super().__init__(*values, **parameters)  # type: ignore[no-untyped-call]  # Luigi's has no types
        self.check()

    def check(self) -> None:
        """Check what can be known of the parameters before any work.

        Raises:
            SettingError: One of them, or several together, cannot be.
        """
        refuse_empty_settings(self)
        # Where the machine's clock is in local time, a command may give the date of Greenwich, which is ahead.
        latest = max(dt.date.today(), dt.datetime.now(dt.UTC).date())
        if self.date > latest and not self.allow_future_date:
            raise SettingError(
                f"--date is {self.date}, and today is {latest}. Its model would stay champion until then. Correct the "
                "date or the machine's clock, or give --allow-future-date."
            )
        self.check_joined()
        self.cluster()

    def check_joined(self) -> None:
        """Check what goes with several backbones.

        Raises:
            SettingError: One of them stands twice or has no name, or a parameter describes one backbone alone.
        """
        names = self.backbones
        if len(names) == 1:
            return
        if not all(names):
            raise SettingError(f"--backbone is {self.backbone!r}; it takes backbones with one + between them.")
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise SettingError(f"--backbone names {twice} twice, which tells a head nothing new. Name it once.")
        given = next((name for name in _OF_ONE_BACKBONE if getattr(self, name) not in ("", 0, AUTO)), None)
        if given is not None:
            option = "--" + given.replace("_", "-")
            raise SettingError(
                f"{option} describes one backbone, and --backbone names {len(names)}. Leave {option} out, or name one "
                "backbone."
            )

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbones, one by one."""
        return split_backbones(self.backbone)

    def cluster(self) -> Cluster | None:
        """The Ray cluster that works on photos; None where this machine does.

        Raises:
            SettingError: It cannot be one.
        """
        return find_cluster(self.engine, self.ray_address, self.gpus_per_actor)

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return DataRoot(to_path(self.data_root))

    @property
    def run_id(self) -> str:
        """Names this run in the manifests of the stages that it completes."""
        return f"{self.date}-{self._hash()}-{_START}"

    def parameters(self) -> dict[str, str]:
        """Every parameter that tells this run from others of its dataset and date, as text."""
        parameters = self.to_str_params(only_significant=True)  # type: ignore[no-untyped-call]  # Luigi's has no types
        # The dataset names the record's folder, whichever way it was given.
        apart = ("date", "data_root", "dataset", "sample_photos")
        given = {name: value for name, value in parameters.items() if name not in apart}
        # Records and reports are for others to read too.
        return given | {"weights": identity(self.weights)} if is_url(self.weights) else given

    def _hash(self) -> str:
        return fingerprint(self.parameters())[:8]

    def source(self) -> Dataset:
        """The dataset; one that is away is as its last snapshot knew it.

        Raises:
            DatasetError: There is none of that name, and there was none.
        """
        return find_dataset(self.dataset, self.sample_photos, partial(remembered, self.root))

    def record_path(self) -> AnyPath:
        """Where the run's record is."""
        return self.root.runs(self.source().name) / f"{self.date}-{self._hash()}.json"

    def output(self) -> FileTarget:
        """The run record; a dataset that nobody knows has none, of which `run` tells in a sentence."""
        try:
            path = self.record_path()
        except PipelineError:
            path = self.root.runs("none") / f"{self.date}.json"
        return FileTarget(path)

    def requires(self) -> list[luigi.Task]:
        """Nothing; but Luigi asks before it starts any work, in the process that all workers come from."""
        events.set_format(self.form)
        # A root that this user may not enter: the first stage says so.
        with self.on_machine(), suppress(OSError):
            # Luigi asks again before each stage, and by then there is nothing to be cleared up.
            if lock_shared(self.root.path):
                sweep_root(self.root)
        return []

    def on_machine(self) -> AbstractContextManager[None]:
        """Say in a sentence where the block fails because of the machine or of an object store."""
        return explain_os_errors(f"The run for {self.date}", self.root.path)

    def complete(self) -> bool:
        """Whether the date's record is there and, for today, the photos and the user's model still look as they did."""
        with self.on_machine():
            return self._is_recorded()

    def _is_recorded(self) -> bool:
        try:
            record = read_record(self.record_path())
            if record is None:
                return False
            own = record["run"] == self.run_id
            # A past date no longer looks at the files that the run was made of.
            same_model = own or self.date < dt.date.today() or record["backbone_state"] == self._backbone_state()
            state = record["state"]
            return same_model and is_current(self.date, own, state, self.source(), self.on_missing_source)
        except (OSError, PipelineError):
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False

    @classmethod
    def bulk_complete(cls, parameter_tuples: Iterable[dt.date]) -> list[dt.date]:
        """Which dates are done, for `RangeDaily`, which binds all other parameters beforehand."""
        return [date for date in parameter_tuples if cls(date=date).complete()]

    def requests(self) -> tuple[BackboneRequest, ...]:
        """What the user asks for as backbones."""
        return tuple(
            BackboneRequest(
                backbone=backbone,
                weights=self.weights,
                size=self.image_size,
                scaling=self.scaling,
                input_tensor=self.input_tensor,
                bottleneck_tensor=self.bottleneck_tensor,
                layers=self.layers,
            )
            for backbone in self.backbones
        )

    def _backbone_state(self) -> str:
        """How the user's own files look from outside, of all backbones; see `BackboneRequest.state`."""
        return join_states(request.state() for request in self.requests())

    def prepare_backbones(self) -> tuple[PrepareBackbone, ...]:
        """The tasks that find or fetch the backbones."""
        return tuple(
            PrepareBackbone(data_root=self.data_root, run_id=self.run_id, request=request, number=number)
            for number, request in enumerate(self.requests(), start=1)
        )

    def take_snapshot(self) -> TakeSnapshot:
        """The task that takes the snapshot."""
        return TakeSnapshot(
            data_root=self.data_root,
            run_id=self.run_id,
            dataset=self.source(),
            date=self.date,
            max_shrink=self.max_shrink,
            on_missing_source=self.on_missing_source,
        )

    def shared(self, prepared: Sequence[Prepared], snapshot: TakeSnapshot) -> dict[str, Any]:
        """The parameters of every stage that works on a snapshot; see `SnapshotStageTask`."""
        return {
            "data_root": self.data_root,
            "run_id": self.run_id,
            "snapshot": snapshot.manifest().key,
            "folder": str(snapshot.photos()),
            "taken": str(snapshot.manifest_path()),
            "weights": {each.backbone.weights_sha256: str(each.weights) for each in prepared},
            "max_rejected": self.max_rejected,
            "max_megapixels": self.max_megapixels,
            "engine": self.engine,
            "ray_address": self.ray_address,
            "gpus_per_actor": self.gpus_per_actor,
        }

    @property
    def form(self) -> events.LogFormat:
        """How events are written."""
        return cast("events.LogFormat", self.log_format)  # ChoiceParameter lets no other pass

    @property
    def encoding(self) -> Encoding:
        """How pictures are stored."""
        return cast("Encoding", self.image_encoding)  # ChoiceParameter lets no other pass

    def about(self) -> Run:
        """Which run it is, for its record."""
        return Run(self.run_id, self.date, self.source(), self.parameters())

    def tell(self) -> None:
        """Write the last lines on the terminal; see `told`."""
        record = read_record(self.record_path())
        if record is None:
            return
        events.set_format(self.form)
        anew = record["run"] == self.run_id
        if not anew:
            self.tidy()
        text = "\n".join(self.told(record, anew=anew))
        events.emit("run_done" if anew else "nothing_to_do", text, record=self.record_path(), **self.figures(record))

    def tidy(self) -> None:
        """Put right what a run left undone that was killed after its record."""
        sweep_root(self.root)

    @abstractmethod
    def told(self, record: Mapping[str, Any], *, anew: bool) -> list[str]:
        """The last lines on the terminal.

        Args:
            record: The run's record.
            anew: Whether this run made it; else there was nothing to do.
        """

    def figures(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What programs are told of a run beside where its record is.

        Args:
            record: The run's record.
        """
        names = ("run", "date", "dataset", "snapshot", "elapsed")
        # What an earlier version of this project wrote has no such labels and sources.
        return {
            **{name: record[name] for name in names},
            **{name: record.get(name) for name in ("labels", "unreached")},
            **IgnoredSummary.from_details(record).details(),
        }


@RootTask.event_handler(luigi.Event.SUCCESS)  # type: ignore[no-untyped-call, untyped-decorator]  # Luigi's has no types
@RootTask.event_handler(luigi.Event.DEPENDENCY_PRESENT)  # type: ignore[no-untyped-call, untyped-decorator]
def _tell(task: RootTask) -> None:
    task.tell()
