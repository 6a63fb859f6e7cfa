"""RetrainFlowers: the nightly root task and its parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import luigi

from pipeline.record import publish_record
from pipeline.root import RootTask
from pipeline.summary import is_worse, not_good_enough, summarise, summarise_nothing
from tasks.artifacts import Manifest, hold
from tasks.backbone.backbones import Backbone, Prepared
from tasks.bottleneck.hardware import find_hardware
from tasks.bottleneck.precision import AUTO, PRECISIONS, resolve_precision
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.errors import PipelineError, VerdictError
from tasks.evaluate.settings import EvaluateSettings
from tasks.parameters import Choice, Number, Numbers
from tasks.records import read_record
from tasks.report.task import WriteReport
from tasks.stage import StageTask
from tasks.train.settings import AdamRecipe, ClassicRecipe, FinetuneSettings, TrainSettings

#: By task, whether another process was at the same night when this one began.
_waited: dict[str, bool] = {}


class RetrainFlowers(RootTask):
    """Retrains the classifier of a dataset for a date: snapshot, decode, bottlenecks, head, evaluation, report."""

    views: Number[int] = Number(
        int, 1, 2, default=2, description="Views of a photo: 1 is the plain photo, 2 adds its mirror image."
    )
    precision: Choice = Choice(
        AUTO,
        *PRECISIONS,
        default=AUTO,
        description="What bottlenecks are computed in; auto is int8 for EfficientNet-Lite on a processor, else "
        "bfloat16 where the hardware computes in it, else float32.",
    )
    flip_left_right: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Train on distorted views too, half of them mirrored."
    )
    random_crop: Number[int] = Number(
        int, 0, 100, default=0, description="Train on distorted views too, with a margin of this per cent cropped away."
    )
    random_scale: Number[int] = Number(
        int, 0, 400, default=0, description="Train on distorted views too, enlarged by up to this per cent."
    )
    random_brightness: Number[int] = Number(
        int, 0, 100, default=0, description="Train on distorted views too, brighter or darker by up to this per cent."
    )
    distorted_views: Number[int] = Number(
        int, 1, 100, default=8, description="Distorted views of a photo, where any distortion is asked for."
    )

    train: Choice = Choice(
        "head", "finetune", default="head", description="Train a head on bottlenecks, or fine-tune the whole network."
    )
    recipe: Choice = Choice(
        "adam",
        "classic",
        default="adam",
        description="How a head is trained: adam is this project's recipe, classic the loop of retrain.py.",
    )
    l2: Numbers = Numbers(
        0, default=(0.003, 0.01, 0.03, 0.1, 0.3), description="Of adam: strengths of weight decay to choose from."
    )
    epochs: Number[int] = Number(
        int,
        0,
        default=0,
        description="Passes over the training photos, more where they are few; 0 is 40 for adam, 5 for finetune.",
    )
    steps: Number[int] = Number(int, 1, default=4000, description="Of classic: steps of gradient descent.")
    batch_size: Number[int] = Number(
        int,
        0,
        default=0,
        description="Examples in a step; 0 is 128 for adam, 100 for classic, 32 for finetune.",
    )
    learning_rate: Number[float] = Number(
        float, 0, 10, default=0, description="0 is 0.003 for adam, 0.01 for classic, 0.0003 for finetune."
    )
    averaging: Number[float] = Number(
        float, 0, 0.99999, default=0.99, description="Decay of the moving average of a head's weights."
    )
    class_weights: luigi.BoolParameter = luigi.BoolParameter(
        default=False, description="Of adam: let every label count alike, however many photos it has."
    )
    seed: Number[int] = Number(int, 0, default=0, description="Of everything that is drawn.")
    folds: Number[int] = Number(
        int, 0, 100, default=5, description="Folds of a head's cross-validation; 0 does without one."
    )

    min_accuracy: Number[float] = Number(
        float, 0, 1, default=0, description="Test accuracy below which a model is neither exported nor champion."
    )
    export: Choice = Choice(
        "all",
        "none",
        default="all",
        description="Whether the model is exported for other programs: as a SavedModel, for Keras, for LiteRT.",
    )
    keep_runs: Number[int] = Number(
        int,
        0,
        default=0,
        significant=False,
        description="Runs of the dataset to keep; older ones go, with all that no kept one needs. 0 keeps all.",
    )

    def settings(self, backbone: Backbone) -> EvaluateSettings:
        """All settings, each stage's inside the next one's."""
        if self.train == "finetune":
            return EvaluateSettings(self._finetune(backbone), folds=0)
        bottleneck = BottleneckSettings(
            backbone=backbone,
            encoding=self.encoding,
            precision=resolve_precision(self.precision, backbone, find_hardware()),
            views=self.views,
            distortion=self._distortion(),
        )
        return EvaluateSettings(TrainSettings(bottleneck, self._recipe(), self.seed), self.folds)

    def _distortion(self) -> Distortion | None:
        if not (self.flip_left_right or self.random_crop or self.random_scale or self.random_brightness):
            return None
        return Distortion(
            views=self.distorted_views,
            flip_left_right=self.flip_left_right,
            random_crop=self.random_crop,
            random_scale=self.random_scale,
            random_brightness=self.random_brightness,
            seed=self.seed,
        )

    def _recipe(self) -> AdamRecipe | ClassicRecipe:
        if self.recipe == "classic":
            return ClassicRecipe(
                steps=self.steps,
                batch_size=self.batch_size or 100,
                learning_rate=self.learning_rate or 0.01,
                averaging=self.averaging,
            )
        return AdamRecipe(
            l2=self.l2,
            epochs=self.epochs or 40,
            batch_size=self.batch_size or 128,
            learning_rate=self.learning_rate or 0.003,
            averaging=self.averaging,
            class_weights=self.class_weights,
        )

    def _finetune(self, backbone: Backbone) -> FinetuneSettings:
        return FinetuneSettings(
            backbone=backbone,
            encoding=self.encoding,
            epochs=self.epochs or 5,
            batch_size=self.batch_size or 32,
            learning_rate=self.learning_rate or 0.0003,
            seed=self.seed,
        )

    def requires(self) -> list[luigi.Task]:
        """Nothing but the night: where another run of the dataset and date is under way, wait until it has ended."""
        try:
            name = self.source().name
            _waited[self.task_id] = hold(self.root.night(name, self.date), f"the run of {name} for {self.date}")
        except (OSError, PipelineError):
            # `run` meets the same error and shows its sentence.
            pass
        return super().requires()

    def run(self) -> Iterator[luigi.Task]:
        """Prepare the backbone and take the snapshot, then ask for all that they imply, then write the record."""
        if _waited.get(self.task_id) and self.complete():
            return
        backbone, snapshot = self.prepare_backbone(), self.take_snapshot()
        # First, so that weights that are not there are told of now, and not after all photos are decoded.
        yield backbone
        prepared = backbone.prepared()
        if self.train == "finetune":
            prepared.backbone.check_trainable()
        download = snapshot.requires()
        if download is not None:
            yield download
        yield snapshot
        stages = self.stage_tasks(prepared)
        # Each by itself: one that was forgotten is made again, although what stands on it is there.
        for name in [name for name in stages if name not in ("export", "champion", "report")]:
            yield stages[name]
        # The figures decide whether there is anything to export.
        if self.refuses(stages["evaluate"].manifest()):
            stages = self.stage_tasks(prepared, export=False)
        for stage in stages.values():  # noqa: UP028 (Luigi sends into the generator, which no iterator of a dict takes)
            yield stage
        publish_record(self.record_path(), self.about(), {name: stage.manifest() for name, stage in stages.items()})
        from tasks.report.index import publish_index  # noqa: PLC0415 (not needed where nothing is to be done)

        publish_index(self.root)
        self._judge(stages["champion"].manifest().details)

    def stage_tasks(self, prepared: Prepared, *, export: bool = True) -> dict[str, StageTask]:
        """All stages by their names, in the order in which they run; the snapshot must have been taken.

        Args:
            prepared: The backbone.
            export: Whether the model may be exported, where `--export` asks for it.
        """
        snapshot = self.take_snapshot()
        report = WriteReport(
            **self.shared(prepared, snapshot),
            settings=self.settings(prepared.backbone),
            dataset=self.source().name,
            date=self.date,
            min_accuracy=self.min_accuracy,
            export=export and self.export == "all",
            parameters=self.parameters(),
            record=str(self.record_path()),
        )
        download, train = snapshot.requires(), report.evaluation().requires()
        stages: list[StageTask] = [
            self.prepare_backbone(),
            *([] if download is None else [download]),
            snapshot,
            *train.before(),
            train,
            report.evaluation(),
            *report.requires(),
            report,
        ]
        return {stage.stage: stage for stage in stages}

    def complete(self) -> bool:
        """As every root task; a model that was refused stays refused, so that each try says so."""
        if not super().complete():
            return False
        record = read_record(self.record_path()) or {}
        return bool(record.get("champion", {}).get("verdict") != "refused")

    def refuses(self, evaluation: Manifest) -> bool:
        """Whether a model is below the accuracy that was asked for."""
        return bool(evaluation.details["test"]["accuracy"] < self.min_accuracy)

    def _judge(self, decision: Mapping[str, Any]) -> None:
        """End the run with an error where its model is not good enough.

        Raises:
            VerdictError: It is worse than the champion, or below the accuracy that was asked for.
        """
        if decision["verdict"] == "refused" or is_worse(decision):
            self.tell()
            raise VerdictError(not_good_enough(decision))

    def told(self, record: Mapping[str, Any], *, anew: bool) -> list[str]:
        """What the run came to, or that there was nothing to do."""
        return (summarise if anew else summarise_nothing)(record, self.record_path(), self.dataset)

    def figures(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The photos, the model, and what it is worth."""
        names = ("head", "network", "photos", "rejected", "metrics", "report")
        own = {name: record[name] for name in names}
        return {**super().figures(record), **own, "verdict": record.get("champion", {}).get("verdict")}
