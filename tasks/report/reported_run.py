"""The run that a report shows, the runs before it, and the links to their reports."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.champion.decision import Decision
from tasks.evaluate.settings import EvaluateSettings
from tasks.export.formats import explain_lacking, explain_untested
from tasks.paths import AnyPath
from tasks.runs.records import RunHistory, RunRecord, distinct_accuracy, read_history
from tasks.shards.manifests import Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage_spec import of_kind
from tasks.storage.layout import DataRoot


@dataclass(frozen=True)
class ReportedRun:
    """The run that a report shows."""

    run_id: str  #: The run's name in the manifests of the stages that it completed.
    dataset: str  #: Name of the dataset.
    date: dt.date  #: Date of the run.
    snapshot: str  #: Key of the snapshot.
    folder: AnyPath  #: Folder that the snapshot's paths are relative to.
    settings: EvaluateSettings  #: Settings of the evaluation.
    parameters: Mapping[str, str]  #: Parameters that tell the run from others of its dataset and date, as text.
    stages: Mapping[str, Manifest]  #: Manifests of the stages by name, in the order of the stages.
    ignored: IgnoredSummary  #: Files of the dataset that the snapshot left out.
    record: AnyPath  #: Path of the run record, which is written after the report.
    report: AnyPath  #: Path of the report.
    #: Splits that the dataset gives, fields of `GivenSplits`; None if they are drawn.
    given_splits: Mapping[str, Any] | None = None

    @property
    def decision(self) -> Decision:
        """The decision on the champion."""
        return Decision.from_json(self.stages["champion"].details)

    @property
    def export_note(self) -> str:
        """A sentence on refused or untested exported files; empty if there are none."""
        if "export" not in self.stages:
            return ""
        details = self.stages["export"].details
        untested = explain_untested(details)
        return details.get("refused") or explain_lacking(details) or (f"The export was {untested}" if untested else "")

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage; 0 if an earlier run did its work."""
        return {name: stage.seconds if stage.run == self.run_id else 0.0 for name, stage in self.stages.items()}

    def to_record(self) -> RunRecord:
        """Return the run as its record will have it; end and seconds are those of the stages so far."""
        evaluated = self.stages["evaluate"].details
        test, crossed = (evaluated[name] for name in ("test", "cross_validation"))
        # A photo that one of several stages lacks is in no head; a network has no bottlenecks.
        photos = min(
            of_kind(self.stages, "bottleneck") or of_kind(self.stages, "decode"), key=lambda stage: stage.photos
        )
        decision = self.decision
        return RunRecord(
            record=self.record,
            run=self.run_id,
            location=str(self.folder),
            dataset=self.dataset,
            date=self.date,
            finished=dt.datetime.now(dt.UTC),
            snapshot=self.snapshot,
            model=decision.model,
            photos=photos.photos,
            new=photos.new if photos.run == self.run_id else 0,
            rejected=max(int(stage.details["missing"]) for stage in of_kind(self.stages, "decode")),
            test_photos=test["photos"],
            accuracy=test["accuracy"],
            low=test["interval"]["low"],
            high=test["interval"]["high"],
            cross_validated=crossed["accuracy"] if crossed else None,
            given_test=self.given_splits["test"] if self.given_splits else None,
            distinct_accuracy=distinct_accuracy(test, evaluated.get("test_without_near_duplicates")),
            verdict=decision.verdict,
            elapsed=sum(self.seconds.values()),
            report=self.report,
            parameters=self.parameters,
        )


def read_previous_runs(run: ReportedRun, root: DataRoot) -> RunHistory:
    """Read the runs of the same dataset for the same date or an earlier one.

    An earlier state of the run's own record, from before photos were added on the same day, is not among them.
    """
    runs, damaged = read_history(root, run.dataset)
    return RunHistory([each for each in runs if each.record != run.record and each.date <= run.date], damaged)


def find_reports(runs: Sequence[RunRecord]) -> list[str | None]:
    """Return the path of each run's report relative to the one data root of the runs; None where there is none.

    Only the end of a recorded path counts, since a data root may have been moved.
    """
    if not runs:
        return []
    root = DataRoot.above(runs[0].record.parent)
    present = root.storage.survey(root.below("report"))
    paths = [Path(*run.report.parts[-3:]) for run in runs]
    return [
        None if path.is_absolute() or ".." in path.parts or not present.is_file(root.path / path) else path.as_posix()
        for path in paths
    ]
