"""Luigi tasks of the train stage."""

from dataclasses import asdict

from tasks.bottleneck.task import ExtractBottlenecks
from tasks.decode.task import DecodePhotos
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult
from tasks.stage import RunStageTask
from tasks.train.settings import FinetuneSettings, TrainSettings


class TrainHead(RunStageTask):
    """Trains a head on a snapshot's bottlenecks."""

    settings: SettingsParameter[TrainSettings] = SettingsParameter(TrainSettings, description="Settings, as JSON.")

    stage = "train"
    on_gpus = True

    def requires(self) -> tuple[ExtractBottlenecks, ...]:
        """The bottlenecks: a task for each of the settings'."""
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
        """The stages that this one stands on, in the order in which they run: two bottlenecks may share a decode."""
        bottlenecks = self.requires()
        return (*dict.fromkeys(bottleneck.requires() for bottleneck in bottlenecks), *bottlenecks)

    def manifests(self) -> tuple[Manifest, ...]:
        """What the bottleneck stages say that they have."""
        return tuple(task.manifest() for task in self.requires())

    def head(self) -> AnyPath:
        """Folder of the head."""
        return self.root.train(self.settings.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """Beside the head."""
        return self.head() / "manifest.json"

    def work(self, progress: Progress) -> StageResult:
        """Train, going on from a checkpoint where an earlier try left one."""
        with progress.preparing("imports"):
            from tasks.train.photos import load_photos
            from tasks.train.training import train_head

        photos = load_photos(self.snapshot, self.manifests(), self.settings, self.root)
        best = train_head(photos, self.snapshot, self.head(), self.context.statistics, progress)
        trained = int(photos.of("train").sum())
        return StageResult(
            key=self.head().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=trained,
            new=trained,
            reused=0,
            details={
                "labels": list(photos.labels),
                "validation_photos": best.photos,
                **best.choice,
                "validation_accuracy": best.accuracy,
                "validation_log_loss": best.log_loss,
            },
        )


class FinetuneNetwork(RunStageTask):
    """Trains all weights of a backbone, and a head on it, on the pictures of a snapshot's photos."""

    settings: SettingsParameter[FinetuneSettings] = SettingsParameter(
        FinetuneSettings, description="Settings, as JSON."
    )

    stage = "train"
    on_gpus = True

    def requires(self) -> DecodePhotos:
        """The pictures."""
        return DecodePhotos(context=self.context, settings=self.settings.decode)

    def before(self) -> tuple[RunStageTask, ...]:
        """The stages that this one stands on, in the order in which they run."""
        return (self.requires(),)

    def manifests(self) -> tuple[Manifest, ...]:
        """What the decode stage says that it has."""
        return (self.requires().manifest(),)

    def network(self) -> AnyPath:
        """Folder of the network."""
        return self.root.train(self.settings.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """Beside the network."""
        return self.network() / "manifest.json"

    def work(self, progress: Progress) -> StageResult:
        """Train, going on from a checkpoint where an earlier try left one."""
        with progress.preparing("imports"):
            from tasks.train.finetune import Pictured, finetune

        source = Pictured(self.snapshot, self.requires().manifest())
        weights = self.context.weights_of(self.settings.backbone.weights_sha256)
        facts = finetune(source, self.settings, weights, self.root, progress)
        told = ("labels", "validation_photos", "validation_accuracy", "validation_log_loss", "steps", "passes")
        return StageResult(
            key=self.network().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=facts["train_photos"],
            new=facts["train_photos"],
            reused=0,
            details={name: facts[name] for name in told},
        )
