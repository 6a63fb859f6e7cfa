"""Luigi task of the report stage."""

import json

import luigi

from tasks.champion.task import ChooseChampion
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.export.task import ExportModel
from tasks.keys import fingerprint
from tasks.parameters import NumberParameter, SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.shards.manifests import Manifest, StageResult
from tasks.snapshot.ignored import IgnoredSummary
from tasks.stage import RunStageTask
from tasks.storage.files import publish_bytes

#: Raised when the same run gives another report.
CODE_VERSION = 3


class WriteReport(RunStageTask):
    """Writes the report of a run: one HTML file that needs nothing beside itself.

    Its key holds what came of the export and the decision on the champion, which are not known before: until then there
    is no report.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(
        EvaluateSettings, description="Settings, as JSON."
    )
    dataset: luigi.Parameter[str] = luigi.Parameter(description="Name of the dataset.")
    date: luigi.DateParameter = luigi.DateParameter(description="Date of the run.")
    min_accuracy: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0, description="Least test accuracy of a champion."
    )
    export: luigi.BoolParameter = luigi.BoolParameter(default=True, description="Whether the model is exported.")
    parameters: luigi.DictParameter = luigi.DictParameter(description="Every parameter of the run, as text.")
    ignored: luigi.Parameter[str] = luigi.Parameter(
        default="{}", description="Files that the snapshot left out, as its manifest tells of them, as JSON."
    )
    record: luigi.Parameter[str] = luigi.Parameter(significant=False, description="Where the run's record goes.")

    stage = "report"

    def evaluation(self) -> EvaluateHead:
        """The evaluation that it tells of."""
        return EvaluateHead(context=self.context, settings=self.settings)

    def champion(self) -> ChooseChampion:
        """The decision that it tells of."""
        return ChooseChampion(
            context=self.context,
            settings=self.settings,
            dataset=self.dataset,
            date=self.date,
            min_accuracy=self.min_accuracy,
        )

    def requires(self) -> list[ExportModel | ChooseChampion]:
        """The export, where there is one, and the decision on the champion; in the order in which they should run."""
        return [*([ExportModel(context=self.context, settings=self.settings)] if self.export else []), self.champion()]

    def complete(self) -> bool:
        """Whether the report of the export and of the decision that stand is written."""
        return all(task.complete() for task in self.requires()) and super().complete()

    def key(self) -> str:
        """Key of the report.

        Raises:
            FileNotFoundError: The model has not been exported, or the champion not been decided on yet.
        """
        outcomes = {task.stage: dict(task.manifest().details) for task in self.requires()}
        return fingerprint(
            {
                "dataset": self.dataset,
                "date": f"{self.date}",
                "parameters": dict(self.parameters),
                "evaluation": self.settings.key(self.snapshot),
                "decision": outcomes["champion"],
                "export": outcomes.get("export", False),
                "ignored": json.loads(self.ignored),
                "code_version": CODE_VERSION,
            }
        )

    def manifest_path(self) -> AnyPath:
        """Beside the report."""
        return self.root.report(self.key()) / "manifest.json"

    def before(self) -> dict[str, Manifest]:
        """Manifests of the stages that this one stands on, by stage, in the order in which they run."""
        tasks = [self.evaluation(), *self.requires()]
        return {**self.evaluation().before(), **{task.name: task.manifest() for task in tasks}}

    def work(self, progress: Progress) -> StageResult:
        """Gather what there is to show, and lay it out."""
        with progress.preparing("imports"):
            from tasks.report.build import build_report  # noqa: PLC0415 (only where there is work)
            from tasks.report.page import render_report  # noqa: PLC0415
            from tasks.report.reported_run import ReportedRun  # noqa: PLC0415

        folder = self.manifest_path().parent
        occasion = ReportedRun(
            run=self.run_id,
            dataset=self.dataset,
            date=self.date,
            snapshot=self.snapshot,
            folder=self.context.photo_folder,
            settings=self.settings,
            parameters=dict(self.parameters),
            stages=self.before(),
            ignored=IgnoredSummary.from_details(json.loads(self.ignored)),
            record=to_path(self.record),
            report=folder / "report.html",
        )
        report = build_report(occasion, self.root, progress)
        publish_bytes(folder / "confusion-matrix.svg", report.figures.confusion.encode())
        publish_bytes(occasion.report, render_report(report).encode())
        return StageResult(
            key=folder.name,
            snapshot=self.snapshot,
            settings={"dataset": self.dataset, "date": f"{self.date}", "parameters": dict(self.parameters)},
            photos=0,
            new=1,
            reused=0,
            details={"report": str(occasion.report)},
        )
