"""Luigi task of the export stage."""

from dataclasses import asdict

from tasks.artifacts import Outcome, sweep
from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.stage import SnapshotStageTask


class ExportModel(SnapshotStageTask):
    """Exports a head with its backbone, or a network, for use elsewhere, and tests what it wrote."""

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(
        EvaluateSettings, description="Settings, as JSON."
    )

    stage = "export"
    on_gpus = True

    def requires(self) -> EvaluateHead:
        """The predictions that exports are compared with."""
        return EvaluateHead(**self.shared(), settings=self.settings)

    def model(self) -> AnyPath:
        """Folder of the model."""
        return self.root.train(self.settings.train.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """Beside the exports."""
        return self.root.export(self.model().name) / "manifest.json"

    def work(self, progress: Progress) -> Outcome:
        """Write every form of the model, and test each."""
        with progress.preparing("imports"):
            from tasks.export.export import Source, export_model  # noqa: PLC0415 (imports TensorFlow)
            from tasks.predict.models import read_model  # noqa: PLC0415

        # What a killed export left lies beside the folder that it was to become.
        sweep(self.model())
        model = read_model(self.model(), to_path(self.weights))
        export = export_model(model, Source(self.requires().results(), to_path(self.folder), self.root), progress)
        photos = max(figures["photos"] for figures in export.tested.forms.values())
        return Outcome(
            key=self.model().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=photos,
            new=photos,
            reused=0,
            details=export.details(),
        )
