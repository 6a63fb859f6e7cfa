"""Luigi task of the drift stage."""

from dataclasses import asdict

import luigi

from tasks.bottleneck.task import ExtractBottlenecks
from tasks.decode.task import DecodePhotos
from tasks.drift.settings import DriftSettings
from tasks.drift.spec import DRIFT
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask


class CompareNewPhotos(RunStageTask):
    """Compares the photos that are new in a snapshot with those of an earlier run.

    Where there is nothing to compare, it only computes the statistics of photos that the next run needs.
    """

    settings: SettingsParameter[DriftSettings] = SettingsParameter(DriftSettings)
    dataset: luigi.Parameter[str] = luigi.Parameter(description="Name of the dataset.")
    baseline: luigi.Parameter[str] = luigi.Parameter(description="Key of the earlier snapshot; empty if there is none.")

    stage = DRIFT.name

    def requires(self) -> DecodePhotos | ExtractBottlenecks:
        """The task that makes the pictures, or that computes their vectors."""
        if self.settings.bottleneck:
            return ExtractBottlenecks(context=self.context, settings=self.settings.bottleneck)
        return DecodePhotos(context=self.context, settings=self.settings.decode)

    def manifest_path(self) -> AnyPath:
        """Each comparison has one manifest."""
        key = self.settings.key(self.snapshot, self.baseline)
        return self.root.below(DRIFT.name, self.dataset, f"{key}.json")

    def work(self, progress: Progress) -> StageResult:
        """Compare the photos, if some are new and some are not."""
        with progress.preparing("imports"):
            from tasks.drift.drift import find_drift
            from tasks.drift.photo_statistics import StatisticsStore

        store = StatisticsStore(self.root, self.dataset, self.settings)
        drift = find_drift(self.snapshot, self.baseline, store, progress)
        return StageResult(
            key=self.manifest_path().stem,
            snapshot=self.snapshot,
            settings={**asdict(self.settings), "baseline": self.baseline},
            photos=drift.computed + drift.recalled,
            new=drift.computed,
            reused=drift.recalled,
            details=drift.result.to_json(),
        )
