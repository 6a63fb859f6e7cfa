"""Luigi task of the backbone stage."""

from dataclasses import asdict, fields

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.request import BackboneRequest
from tasks.backbone.spec import BACKBONE
from tasks.keys import fingerprint
from tasks.parameters import SettingsParameter
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.settings import settings_from
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import storage_at


class PrepareBackbone(RunStageTask):
    """Finds or fetches the weights of a backbone and describes it."""

    request: SettingsParameter[BackboneRequest] = SettingsParameter(
        BackboneRequest, description="The request, as JSON."
    )

    stage = BACKBONE.name
    on_gpus = True

    def folder(self) -> AnyPath:
        """Folder of fetched files."""
        return self.root.below("backbone", self.request.slug)

    def manifest_path(self) -> AnyPath:
        """One manifest per request."""
        return self.folder() / f"{self.request.key}.json"

    def complete(self) -> bool:
        """Whether the backbone is known and its files have not changed."""
        if not self.is_published():
            return False
        details, weights = self.manifest().details, self.prepared().weights
        return bool(
            details["asked"] == self.request.state() and details["found"] == storage_at(weights).version(weights)
        )

    def prepared(self) -> Prepared:
        """The backbone, once the task is complete."""
        manifest = self.manifest()
        names = [field.name for field in fields(Backbone)]
        backbone = settings_from(Backbone, {name: manifest.settings[name] for name in names})
        return Prepared(backbone, to_path(manifest.details["weights"]))

    def work(self, progress: Progress) -> StageResult:
        """Find or fetch the weights; this imports TensorFlow only if the catalog does not describe them."""
        with progress.preparing("imports"):
            from tasks.backbone.prepare import prepare_backbone

        # Before anything is read, so that a file that is replaced meanwhile counts as changed.
        asked = self.request.state()
        prepared = prepare_backbone(self.request, self.folder(), progress)
        weights = prepared.weights
        return StageResult(
            key=fingerprint(asdict(prepared.backbone)),
            snapshot="",
            settings=asdict(prepared.backbone),
            photos=0,
            new=1,
            reused=0,
            details={"weights": str(weights), "asked": asked, "found": storage_at(weights).version(weights)},
        )
