"""Luigi tasks of the train stage."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tasks.bottleneck.task import ExtractBottlenecks
from tasks.decode.task import DecodePhotos
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult
from tasks.stage import RunStageTask
from tasks.train.settings import FinetuneSettings, TrainSettings
from tasks.train.spec import TRAIN


class _TrainModel(RunStageTask):
    """Trains a model of a snapshot."""

    settings: Any
    stage = TRAIN.name
    on_gpus = True

    def folder(self) -> AnyPath:
        """Return the folder of the model."""
        return self.root.train(self.settings.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """Return the path of the manifest, in the folder of the model."""
        return self.folder() / "manifest.json"

    def _result(self, photos: int, details: Mapping[str, Any]) -> StageResult:
        settings, key = asdict(self.settings), self.folder().name
        return StageResult(key, self.snapshot, settings, photos=photos, new=photos, reused=0, details=dict(details))


class TrainHead(_TrainModel):
    """Trains a head on a snapshot's bottlenecks."""

    settings: SettingsParameter[TrainSettings] = SettingsParameter(TrainSettings)

    def requires(self) -> tuple[ExtractBottlenecks, ...]:
        """Return a task for each of the settings' bottlenecks."""
        decodes = list(dict.fromkeys(self.settings.decodes))
        return tuple(
            ExtractBottlenecks(
                context=self.context,
                settings=bottleneck,
                number=number,
                decode_number=decodes.index(bottleneck.decode) + 1,
            )
            for number, bottleneck in enumerate(self.settings.bottlenecks, start=1)
        )

    def before(self) -> tuple[RunStageTask, ...]:
        """Return the stages below in the order in which they run: two bottlenecks may share a decode stage."""
        bottlenecks = self.requires()
        return (*dict.fromkeys(bottleneck.requires() for bottleneck in bottlenecks), *bottlenecks)

    def manifests(self) -> tuple[Manifest, ...]:
        """Return the manifests of the bottleneck stages."""
        return tuple(task.manifest() for task in self.requires())

    def work(self, progress: Progress) -> StageResult:
        """Train the head, or resume from a checkpoint."""
        with progress.preparing("imports"):
            from tasks.train.head_training import train_head
            from tasks.train.photos import load_photos

        photos = load_photos(self.snapshot, self.manifests(), self.settings, self.root)
        trained = train_head(photos, self.snapshot, self.folder(), self.context.statistics, progress)
        details = {
            "labels": list(photos.labels),
            "validation_photos": trained.photos,
            **trained.choice,
            "validation_accuracy": trained.score.accuracy,
            "validation_log_loss": trained.score.log_loss,
        }
        return self._result(int(photos.of("train").sum()), details)


class FinetuneNetwork(_TrainModel):
    """Trains all weights of a backbone, and a head on it, on the pictures of a snapshot's photos."""

    settings: SettingsParameter[FinetuneSettings] = SettingsParameter(FinetuneSettings)

    def requires(self) -> DecodePhotos:
        """Return the task of the pictures."""
        return DecodePhotos(context=self.context, settings=self.settings.decode)

    def before(self) -> tuple[RunStageTask, ...]:
        """Return the stages below."""
        return (self.requires(),)

    def manifests(self) -> tuple[Manifest, ...]:
        """Return the manifest of the decode stage."""
        return (self.requires().manifest(),)

    def work(self, progress: Progress) -> StageResult:
        """Train the network, or resume from a checkpoint."""
        with progress.preparing("imports"):
            from tasks.train.finetune import finetune

        facts = finetune(self.requires().manifest(), self.settings, self.context, progress)
        names = ("labels", "validation_photos", "validation_accuracy", "validation_log_loss", "steps", "passes")
        return self._result(facts["train_photos"], {name: facts[name] for name in names})
