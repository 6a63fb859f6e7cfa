"""Luigi task of the export stage."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.export.formats import explain_untested
from tasks.export.spec import EXPORT
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import is_there, sweep


class ExportModel(RunStageTask):
    """Exports a head with its backbone, or a network, for other programs, and tests the exported files.

    If no photo could be read to test them, the files are kept, and the next run that can read photos tests them.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(
        EvaluateSettings, description="Settings, as JSON."
    )

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
        exported = self.is_published() and is_there(self.manifest_path().parent)
        published = self.manifest().details if exported else None
        with progress.preparing("imports"):
            from tasks.export.export import ExportInputs, export_model, retest_export
            from tasks.predict.models import read_model

        # A killed export leaves its temporary folder beside the final one.
        sweep(self.model())
        model = read_model(self.model(), self.context.weight_paths)
        max_pixels = self.context.max_pixels
        inputs = ExportInputs(self.requires().results(), self.context.photo_folder, self.root, max_pixels)
        if published is None:
            return self._outcome(export_model(model, inputs, progress).details(), new=True)
        retested = retest_export(model, inputs, published, progress)
        return self._outcome(retested.details() if retested else published, new=retested is not None)

    def _outcome(self, details: Mapping[str, Any], *, new: bool) -> StageResult:
        photos = max((figures["photos"] for figures in details["test"].values()), default=0)
        return StageResult(
            key=self.model().name,
            snapshot=self.snapshot,
            settings=asdict(self.settings),
            photos=photos,
            new=photos if new else 0,
            reused=0 if new else photos,
            details=details,
        )
