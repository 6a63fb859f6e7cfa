"""Luigi task of the export stage."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tasks.evaluate.settings import EvaluateSettings
from tasks.evaluate.task import EvaluateHead
from tasks.export.formats import tell_untested
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import is_there, sweep


class ExportModel(RunStageTask):
    """Exports a head with its backbone, or a network, for use elsewhere, and tests what it wrote.

    What was exported without a photo to test it on is kept, and tested as soon as a run can read some.
    """

    settings: SettingsParameter[EvaluateSettings] = SettingsParameter(
        EvaluateSettings, description="Settings, as JSON."
    )

    stage = "export"
    on_gpus = True

    def requires(self) -> EvaluateHead:
        """The predictions that exports are compared with."""
        return EvaluateHead(context=self.context, settings=self.settings)

    def model(self) -> AnyPath:
        """Folder of the model."""
        return self.root.train(self.settings.train.key(self.snapshot))

    def manifest_path(self) -> AnyPath:
        """Beside the exports."""
        return self.root.export(self.model().name) / "manifest.json"

    def complete(self) -> bool:
        """Whether the model was exported and tested, or refused; one try a run where there is nothing to test it on."""
        if not self.is_published():
            return False
        made = self.manifest()
        return made.run == self.run_id or tell_untested(made.details) is None

    def work(self, progress: Progress) -> StageResult:
        """Write every form of the model, and test each."""
        kept = self.manifest().details if self.is_published() and is_there(self.manifest_path().parent) else None
        with progress.preparing("imports"):
            from tasks.export.export import ExportInputs, export_model, test_again
            from tasks.predict.models import read_model

        # What a killed export left lies beside the folder that it was to become.
        sweep(self.model())
        model = read_model(self.model(), self.context.weight_paths)
        max_pixels = self.context.max_pixels
        source = ExportInputs(self.requires().results(), self.context.photo_folder, self.root, max_pixels)
        if kept is None:
            return self._outcome(export_model(model, source, progress).details(), new=True)
        tested = test_again(model, source, kept, progress)
        return self._outcome(tested.details() if tested else kept, new=tested is not None)

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
