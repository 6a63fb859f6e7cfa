"""The run that a report is of, and the runs before it."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.champion.decision import Decision
from tasks.evaluate.settings import EvaluateSettings
from tasks.export.formats import tell_lacking, tell_untested
from tasks.paths import AnyPath
from tasks.report.view_model import Exports
from tasks.runs.records import RunRecord
from tasks.shards.manifests import Manifest
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage_spec import of_kind


@dataclass(frozen=True)
class ReportedRun:
    """The run that a report is of.

    Args:
        run: Names it in the manifests of the stages that it completed.
        dataset: Name of its dataset.
        date: Its date.
        snapshot: Key of its snapshot.
        folder: The folder that the snapshot's paths are relative to.
        settings: Of its evaluation.
        parameters: Every parameter that tells it from others of its dataset and date, as text.
        stages: Manifests of its stages by name, in the order in which they ran.
        ignored: Files of the dataset that its snapshot left out.
        record: Where its record is to be.
        report: Where its report is to be.
    """

    run: str
    dataset: str
    date: dt.date
    snapshot: str
    folder: AnyPath
    settings: EvaluateSettings
    parameters: Mapping[str, str]
    stages: Mapping[str, Manifest]
    ignored: IgnoredSummary
    record: AnyPath
    report: AnyPath

    @property
    def decision(self) -> Decision:
        """What was decided on the champion."""
        return Decision.from_json(self.stages["champion"].details)

    @property
    def exports(self) -> Exports | None:
        """How the exported files agree with the model; None where no export was asked for."""
        if "export" not in self.stages:
            return None
        details = self.stages["export"].details
        agreement = {name: result["agreement"] for name, result in details["test"].items()}
        refused, untested = details.get("refused"), tell_untested(details)
        note = refused or tell_lacking(details) or (f"The export was {untested}" if untested else "")
        return Exports(agreement, bool(refused), note)

    @property
    def seconds(self) -> dict[str, float]:
        """How long each stage took; 0 where an earlier run had done it."""
        return {name: stage.seconds if stage.run == self.run else 0.0 for name, stage in self.stages.items()}

    @property
    def photos(self) -> Manifest:
        """What the stage says that gives the photos to train on: the bottlenecks, or the pictures of a network.

        Of several it is the one with the fewest photos: one that it lacks is in no head.
        """
        stages = of_kind(self.stages, "bottleneck") or of_kind(self.stages, "decode")
        return min(stages, key=lambda stage: stage.photos)

    @property
    def rejected(self) -> int:
        """How many photos could not be decoded."""
        return max(int(stage.details["missing"]) for stage in of_kind(self.stages, "decode"))

    def night(self) -> RunRecord:
        """The run as its record is going to tell of it; its end and its seconds are those of the stages so far."""
        test, crossed = (self.stages["evaluate"].details[name] for name in ("test", "cross_validation"))
        decision, photos = self.decision, self.photos
        return RunRecord(
            record=self.record,
            run=self.run,
            location=str(self.folder),
            dataset=self.dataset,
            date=self.date,
            finished=dt.datetime.now(dt.UTC),
            snapshot=self.snapshot,
            model=decision.model,
            photos=photos.photos,
            new=photos.new if photos.run == self.run else 0,
            rejected=self.rejected,
            test_photos=test["photos"],
            accuracy=test["accuracy"],
            low=test["interval"]["low"],
            high=test["interval"]["high"],
            cross_validated=crossed["accuracy"] if crossed else None,
            verdict=decision.verdict,
            elapsed=sum(self.seconds.values()),
            report=self.report,
            parameters=self.parameters,
        )
