"""Luigi task of the report stage."""

import json

import luigi

from tasks.champion.task import ChooseChampion
from tasks.drift.settings import ON_DRIFT
from tasks.drift.task import CompareNewPhotos
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.export.task import ExportModel
from tasks.keys import fingerprint
from tasks.parameters import ChoiceParameter, NumberParameter, SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.report.spec import REPORT
from tasks.shards.manifests import Manifest, StageResult
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage import RunStageTask
from tasks.storage.files import publish_bytes

#: Raised when the same run gives another report.
CODE_VERSION = 7


class WriteReport(RunStageTask):
    """Writes the report of a run: one HTML file that loads nothing.

    Its key contains the results of the export and of the decision on the champion, so that there is no report before
    both are complete.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(EvaluateSettings)
    dataset: luigi.Parameter[str] = luigi.Parameter(description="Name of the dataset.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    min_accuracy: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0, description="Least test accuracy of a champion."
    )
    label_gate: luigi.BoolParameter = luigi.BoolParameter(
        default=True, description="Whether a model that is worse on a label never becomes champion."
    )
    on_drift: ChoiceParameter = ChoiceParameter(
        *ON_DRIFT, default="warn", description="Response to new photos that differ from earlier ones."
    )
    baseline: luigi.Parameter[str] = luigi.Parameter(
        default="", description="Key of the snapshot that new photos are compared with; empty if there is none."
    )
    export: luigi.BoolParameter = luigi.BoolParameter(default=True, description="Whether the model is exported.")
    parameters: luigi.DictParameter = luigi.DictParameter(description="Every parameter of the run, as text.")
    ignored: luigi.Parameter[str] = luigi.Parameter(
        default="{}", description="Files that the snapshot left out, as in its manifest, as JSON."
    )
    given_splits: luigi.Parameter[str] = luigi.Parameter(
        default="null", description="Splits that the dataset gives, as in the snapshot's manifest, as JSON."
    )
    record: luigi.Parameter[str] = luigi.Parameter(significant=False, description="Path of the run record.")

    stage = REPORT.name

    def evaluation(self) -> EvaluateHead:
        """Return the task that evaluates the model."""
        return EvaluateHead(context=self.context, settings=self.settings)

    def champion(self) -> ChooseChampion:
        """Return the task that decides on the champion."""
        return ChooseChampion(
            context=self.context,
            settings=self.settings,
            dataset=self.dataset,
            date=self.date,
            min_accuracy=self.min_accuracy,
            label_gate=self.label_gate,
            refuse_drift=self.on_drift == "fail",
            baseline=self.baseline,
        )

    def drift(self) -> list[CompareNewPhotos]:
        """Return the task that compares the new photos, if they are compared."""
        return [self.champion().drift()] if self.on_drift != "ignore" else []

    def exports(self) -> list[ExportModel]:
        """Return the task of the export, if there is one."""
        return [ExportModel(context=self.context, settings=self.settings)] if self.export else []

    def requires(self) -> list[CompareNewPhotos | ExportModel | ChooseChampion]:
        """Return the comparison of new photos and the export, if there are, and the decision on the champion."""
        return [*self.drift(), *self.exports(), self.champion()]

    def complete(self) -> bool:
        """Whether the report of the present export and decision is published."""
        return all(task.complete() for task in self.requires()) and super().complete()

    def key(self) -> str:
        """Return the key of the report.

        Raises:
            FileNotFoundError: The export or the decision on the champion is not complete.
        """
        results = {task.stage: dict(task.manifest().details) for task in self.requires()}
        given = json.loads(self.given_splits)
        return fingerprint(
            {
                # Reports of drawn splits keep the keys of earlier versions.
                **({"given_splits": given} if given else {}),
                "dataset": self.dataset,
                "date": f"{self.date}",
                "parameters": dict(self.parameters),
                "evaluation": self.settings.key(self.snapshot),
                "decision": results["champion"],
                "export": results.get("export", False),
                "drift": results.get("drift"),
                "ignored": json.loads(self.ignored),
                "code_version": CODE_VERSION,
            }
        )

    def manifest_path(self) -> AnyPath:
        """The manifest is beside the report."""
        return self.root.report(self.key()) / "manifest.json"

    def before(self) -> dict[str, Manifest]:
        """Return the manifests of the preceding stages by name, in the order of the stages."""
        evaluation = self.evaluation()
        train = evaluation.requires()
        later = (train, evaluation, *self.exports(), self.champion())
        return {task.name: task.manifest() for task in (*train.before(), *self.drift(), *later)}

    def work(self, progress: Progress) -> StageResult:
        """Build the report, and publish its page and the confusion matrix."""
        with progress.preparing("imports"):
            from tasks.report.build import build_report
            from tasks.report.page import render_report
            from tasks.report.reported_run import ReportedRun
            from tasks.report.templates import load_templates
        with progress.preparing("templates"):
            load_templates()

        folder = self.manifest_path().parent
        run = ReportedRun(
            run_id=self.run_id,
            dataset=self.dataset,
            date=self.date,
            snapshot=self.snapshot,
            folder=self.context.photo_folder,
            settings=self.settings,
            parameters=dict(self.parameters),
            stages=self.before(),
            ignored=IgnoredSummary.from_details(json.loads(self.ignored)),
            given_splits=json.loads(self.given_splits),
            record=to_path(self.record),
            report=folder / "report.html",
        )
        report = build_report(run, self.root, progress)
        publish_bytes(folder / "confusion-matrix.svg", report.figures.confusion.encode())
        publish_bytes(run.report, render_report(report).encode())
        return StageResult(
            key=folder.name,
            snapshot=self.snapshot,
            settings={"dataset": self.dataset, "date": f"{self.date}", "parameters": dict(self.parameters)},
            photos=0,
            new=1,
            reused=0,
            details={"report": str(run.report)},
        )
