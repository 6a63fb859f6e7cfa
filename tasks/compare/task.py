"""Luigi tasks of the compare stage."""

from dataclasses import asdict

from tasks.compare.settings import ALL, CellSettings
from tasks.compare.spec import COMPARE
from tasks.decode.task import DecodePhotos
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult
from tasks.stage import RunStageTask


class TrainCell(RunStageTask):
    """Trains one way on some photos, and tests it on the test split of the snapshot."""

    settings: SettingsParameter[CellSettings] = SettingsParameter(CellSettings)

    stage = COMPARE.name
    on_gpus = True
    #: One at a time, whatever `--workers` says, since each is timed.
    resources = {"stopwatch": 1}  # noqa: RUF012 (Luigi reads it from the class)

    def requires(self) -> DecodePhotos:
        """Return the task of the pictures."""
        return DecodePhotos(context=self.context, settings=self.settings.decode)

    def manifest_path(self) -> AnyPath:
        """Return the path of the cell's manifest, which all comparisons share."""
        return self.root.below("compare", "cells", f"{self.settings.key(self.snapshot)}.json")

    def work(self, progress: Progress) -> StageResult:
        """Train and test."""
        with progress.preparing("imports"):
            from tasks.compare.cells import train_cell
            from tasks.train.photos import load_pictured

        photos = load_pictured(self.snapshot, self.requires().manifest(), self.settings.decode, self.root)
        weights = self.context.weights_of(self.settings.backbone.weights_sha256)
        result = train_cell(photos, self.settings, weights, self.root, progress)
        return StageResult(
            key=self.settings.key(self.snapshot),
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=result.photos,
            new=result.photos,
            reused=0,
            details=asdict(result),
        )

    def closing(self, manifest: Manifest) -> str:
        """Return the line that reports the finished cell."""
        settings, details = self.settings, manifest.details
        size = "all" if settings.photos_per_label == ALL else f"{settings.photos_per_label}"
        accuracy = details["correct"] / details["test_photos"]
        return (
            f"{settings.way:<10} {size:>7} photos a label, draw {settings.seed}: {accuracy:>6.1%} after "
            f"{details['passes']:>7,} photo passes in {details['seconds']:>7.1f} s{' (cut)' if details['cut'] else ''}"
        )
