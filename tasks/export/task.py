"""Luigi task of the export stage."""

from dataclasses import asdict

from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.export.formats import explain_untested
from tasks.export.spec import EXPORT
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import sweep


class ExportModel(RunStageTask):
    """Exports a head with its backbone, or a network, for other programs, and tests the exported files.

    If no photo could be read to test them, the files are kept, and the next run that can read photos tests them.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(EvaluateSettings)

    stage = EXPORT.name
    on_gpus = True

    def requires(self) -> EvaluateHead:
        """The evaluation, whose predictions the exports are compared with."""
        return EvaluateHead(context=self.context, settings=self.settings)

    def model(self) -> AnyPath:
        """Folder of the model."""
        return self.root.train(self.settings.train.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """The manifest beside the exported files."""
        return self.root.export(self.model().name) / "manifest.json"

    def complete(self) -> bool:
        """Whether the model was exported and tested, or refused; a run tries to test it only once."""
        if not self.is_published():
            return False
        manifest = self.manifest()
        return manifest.run == self.run_id or explain_untested(manifest.details) is None

    def work(self, progress: Progress) -> StageResult:
        """Write the model in every format, and test each."""
        with progress.preparing("imports"):
            from tasks.export.export import ExportInputs, export_model
            from tasks.predict.models import read_model

        # A killed export leaves temporary files.
        sweep(self.model())
        model = read_model(self.model(), self.context.weight_paths)
        inputs = ExportInputs(self.requires().results(), self.context.photo_folder, self.root, self.context.max_pixels)
        details = export_model(model, inputs, progress).details()
        photos = max((figures["photos"] for figures in details["test"].values()), default=0)
        return StageResult(
            key=self.model().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=photos,
            new=photos,
            reused=0,
            details=details,
        )
