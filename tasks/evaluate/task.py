"""Luigi task of the evaluate stage."""

from dataclasses import asdict

from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.spec import EVALUATE
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.train.settings import TrainSettings
from tasks.train.task import FinetuneNetwork, TrainHead


class EvaluateHead(RunStageTask):
    """Measures a head or a fine-tuned network on the test split, and the recipe of a head by cross-validation."""

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(EvaluateSettings)

    stage = EVALUATE.name
    on_gpus = True

    def requires(self) -> TrainHead | FinetuneNetwork:
        """The task that trains the head or the network."""
        train = self.settings.train
        if isinstance(train, TrainSettings):
            return TrainHead(context=self.context, settings=train)
        return FinetuneNetwork(context=self.context, settings=train)

    def results(self) -> AnyPath:
        """Folder of the evaluation."""
        return self.root.evaluate(self.settings.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """The manifest is beside the metrics."""
        return self.results() / "manifest.json"

    def work(self, progress: Progress) -> StageResult:
        """Predict all photos, and publish predictions and metrics."""
        with progress.preparing("imports"):
            from tasks.evaluate.evaluation import TrainedOn, evaluate

        weights = self.context.weights_of(self.settings.train.backbones[0].weights_sha256)
        source = TrainedOn(self.requires().manifests(), weights, self.context.statistics)
        metrics = evaluate(self.snapshot, self.settings, source, self.root, progress)
        photos = metrics["test"]["photos"]
        return StageResult(
            key=self.results().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=photos,
            new=photos,
            reused=0,
            details=metrics,
        )
