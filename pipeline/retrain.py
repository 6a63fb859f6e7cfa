"""RetrainFlowers: the nightly root task and its parameters."""

import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import luigi

from pipeline.record import Run, publish_record, read_record
from pipeline.summary import summarise, summarise_nothing
from tasks.artifacts import DataRoot, fingerprint
from tasks.bottleneck.backbones import describe_backbone, find_weights
from tasks.bottleneck.settings import bottleneck_settings
from tasks.catalog import Dataset, find_backbone, find_dataset
from tasks.decode.settings import DecodeSettings, Encoding
from tasks.errors import PipelineError
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.parameters import Choice, Day, Number, Numbers
from tasks.snapshot.task import TakeSnapshot, is_current
from tasks.stage import say
from tasks.train.settings import TrainSettings

#: Tells one start of the program from another; a worker's children inherit it.
_START = secrets.token_hex(4)


class RetrainFlowers(luigi.Task):
    """Retrains the classifier of a dataset for a date: snapshot, decode, bottlenecks, head, evaluation."""

    date: Day = Day(
        default=dt.date.today(), description="Date of the run; today's looks at the photos again, a past one does not."
    )
    dataset: luigi.Parameter[str] = luigi.Parameter(
        description="A name of data/catalog.toml, a folder <label>/<photo>, an archive of one, or its URL."
    )
    data_root: luigi.Parameter[str] = luigi.Parameter(
        default="data", description="Folder of everything that the stages write."
    )
    sample_photos: Number[int] = Number(int, 15, default=400, description="How many photos `sample` draws.")
    max_rejected: Number[float] = Number(
        float, 0, 1, default=0.05, description="Share of photos that may be unreadable before the run fails."
    )

    backbone: luigi.Parameter[str] = luigi.Parameter(
        default="efficientnet_lite0", description="The frozen network: a name of data/catalog.toml."
    )
    image_size: Number[int] = Number(
        int, 0, 4096, default=0, description="Height and width of its input in pixels; 0 is the backbone's own."
    )
    image_encoding: Choice = Choice("jpeg", "png", default="jpeg", description="How decoded photos are stored.")
    views: Number[int] = Number(
        int, 1, 2, default=2, description="Views of a photo: 1 is the plain photo, 2 adds its mirror image."
    )

    l2: Numbers = Numbers(
        0, default=(0.003, 0.01, 0.03, 0.1, 0.3), description="Strengths of weight decay to choose from."
    )
    epochs: Number[int] = Number(int, 1, default=40, description="Passes over the training photos at least.")
    batch_size: Number[int] = Number(int, 1, default=128, description="Bottlenecks in a training step.")
    learning_rate: Number[float] = Number(float, 1e-8, 10, default=0.003, description="Adam's rate at the start.")
    averaging: Number[float] = Number(
        float, 0, 0.99999, default=0.99, description="Decay of the moving average of the weights."
    )
    class_weights: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Let every label count alike, however many photos it has."
    )
    seed: Number[int] = Number(int, 0, default=0, description="Of the order in which the head sees bottlenecks.")
    folds: Number[int] = Number(int, 2, 100, default=5, description="Folds of the cross-validation.")

    @property
    def run_id(self) -> str:
        """Names this run in the manifests of the stages that it completes."""
        return f"{self.date}-{self._hash()}-{_START}"

    def _parameters(self) -> dict[str, str]:
        parameters = self.to_str_params(only_significant=True)  # type: ignore[no-untyped-call]  # Luigi's has no types
        # The dataset names the record's folder, whichever way it was given.
        apart = ("date", "data_root", "dataset", "sample_photos")
        return {name: value for name, value in parameters.items() if name not in apart}

    def _hash(self) -> str:
        return fingerprint(self._parameters())[:8]

    def _source(self) -> Dataset:
        return find_dataset(self.dataset, self.sample_photos)

    def record_path(self) -> Path:
        """Where the run's record is."""
        return DataRoot(Path(self.data_root)).runs(self._source().name) / f"{self.date}-{self._hash()}.json"

    def output(self) -> luigi.LocalTarget:
        """The run record."""
        return luigi.LocalTarget(self.record_path())  # type: ignore[no-untyped-call]  # Luigi's has no types

    def complete(self) -> bool:
        """Whether the date's record is there and, for today, the source still looks as it did."""
        try:
            record = read_record(self.record_path())
            if record is None:
                return False
            return is_current(self.date, record["run"] == self.run_id, record["state"], self._source())
        except PipelineError:
            # Luigi would show a traceback here; `run` meets the same error and shows its sentence.
            return False

    def settings(self) -> EvaluateSettings:
        """All settings, each stage's inside the next one's.

        Raises:
            SettingError: A name or size is not known.
        """
        backbone = describe_backbone(find_backbone(self.backbone), self.image_size)
        encoding = cast("Encoding", self.image_encoding)  # Choice lets no other pass
        decode = DecodeSettings(backbone.size, backbone.size, backbone.family.resampling, encoding)
        train = TrainSettings(
            bottleneck=bottleneck_settings(backbone, decode, self.views),
            l2=self.l2,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            averaging=self.averaging,
            class_weights=self.class_weights,
            seed=self.seed,
        )
        return EvaluateSettings(train, self.folds)

    def run(self) -> Iterator[luigi.Task]:
        """Take the snapshot, then ask for everything that its key implies, then write the record."""
        settings, source = self.settings(), self._source()
        # Weights that are not there are told of now, and not after all photos are decoded.
        find_weights(find_backbone(self.backbone))
        snapshot = TakeSnapshot(data_root=self.data_root, run_id=self.run_id, dataset=source, date=self.date)
        yield snapshot
        evaluate = EvaluateHead(
            data_root=self.data_root,
            run_id=self.run_id,
            snapshot=snapshot.manifest().key,
            folder=str(snapshot.photos()),
            max_rejected=self.max_rejected,
            settings=settings,
            dataset=source.name,
            date=self.date,
        )
        yield evaluate
        stages = {
            **snapshot.before(),
            "snapshot": snapshot.manifest(),
            **evaluate.before(),
            "evaluate": evaluate.manifest(),
        }
        run = Run(self.run_id, self.date, source, self._parameters())
        publish_record(self.record_path(), run, stages, evaluate.results())


def _tell(task: RetrainFlowers, summary: Callable[[Mapping[str, Any], Path, str], list[str]]) -> None:
    record = read_record(task.record_path())
    for line in summary(record, task.record_path(), task.dataset) if record is not None else ():
        say(line)


@RetrainFlowers.event_handler(luigi.Event.SUCCESS)  # type: ignore[no-untyped-call, untyped-decorator]  # Luigi's
def _tell_results(task: RetrainFlowers) -> None:
    _tell(task, summarise)


@RetrainFlowers.event_handler(luigi.Event.DEPENDENCY_PRESENT)  # type: ignore[no-untyped-call, untyped-decorator]
def _tell_nothing(task: RetrainFlowers) -> None:
    _tell(task, summarise_nothing)
