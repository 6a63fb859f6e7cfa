"""Luigi task of the train stage."""

from dataclasses import asdict
from pathlib import Path

from tasks.artifacts import exclusive, sweep
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.parameters import SettingsParameter
from tasks.progress import Progress
from tasks.stage import Outcome, SnapshotStageTask
from tasks.train.settings import TrainSettings


class TrainHead(SnapshotStageTask):
    """Trains a head on a snapshot's bottlenecks."""

    settings: SettingsParameter[TrainSettings] = SettingsParameter(TrainSettings, description="Settings, as JSON.")

    stage = "train"

    def requires(self) -> ExtractBottlenecks:
        """The bottlenecks."""
        return ExtractBottlenecks(**self.shared(), settings=self.settings.bottleneck)

    def head(self) -> Path:
        """Folder of the head."""
        return self.root.train(self.settings.key(self.snapshot))

    def manifest_path(self) -> Path:
        """Beside the head."""
        return self.head() / "manifest.json"

    def work(self, progress: Progress) -> Outcome:
        """Train, going on from a checkpoint where an earlier try left one."""
        from tasks.train.fit import Examples, Watch, fit_head  # noqa: PLC0415 (imports TensorFlow)
        from tasks.train.head import save_head  # noqa: PLC0415
        from tasks.train.photos import load_photos  # noqa: PLC0415

        photos = load_photos(self.snapshot, self.requires().manifest(), self.settings.bottleneck, self.root)
        everything = Examples(photos.vectors, photos.truth)
        train, validation = photos.of("train"), photos.of("validation")
        folder = self.head()
        with exclusive(folder):
            sweep(folder)
            head, choices = fit_head(
                everything.take(train),
                everything.take(validation),
                self.settings,
                photos.labels,
                Watch(progress, folder / "checkpoints"),
            )
            facts = {
                "snapshot": self.snapshot,
                "bottleneck": self.settings.bottleneck.key,
                "standardisation": "(sign(x) * sqrt(abs(x)) - mean) / deviation",
                "settings": asdict(self.settings),
                "choices": [asdict(choice) for choice in choices],
            }
            save_head(head.with_facts(facts), folder)
        best = next(choice for choice in choices if choice.l2 == head.facts["l2"])
        return Outcome(
            key=folder.name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=int(train.sum()),
            new=int(train.sum()),
            reused=0,
            details={
                "labels": list(photos.labels),
                "validation_photos": int(validation.sum()),
                "l2": best.l2,
                "validation_accuracy": best.accuracy,
                "validation_log_loss": best.log_loss,
            },
        )
