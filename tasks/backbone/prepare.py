"""Makes of what a user asked for a backbone that is described and has its weights at hand."""

from pathlib import Path

from tasks.backbone import catalogued
from tasks.backbone.backbones import Prepared
from tasks.backbone.request import KERAS_PREFIX, BackboneRequest
from tasks.catalog import backbone_names, find_backbone, local_path
from tasks.errors import SettingError
from tasks.progress import Progress


def prepare_backbone(request: BackboneRequest, folder: Path, progress: Progress) -> Prepared:
    """Find or fetch a backbone's weights, and describe it.

    Args:
        request: What the user asks for.
        folder: Where what is fetched is kept.
        progress: Told of the bytes as they come, and of what a person should know.

    Raises:
        SettingError: There is no such backbone, or a parameter does not go with it.
        BackboneError: Its weights are missing, damaged, or of another network.
        DownloadError: They could not be fetched, or are not the file of the first time.
    """
    if request.backbone.startswith(KERAS_PREFIX):
        from tasks.backbone import keras_applications  # noqa: PLC0415 (imports TensorFlow)

        return keras_applications.prepare(request, folder, progress)
    path = local_path(request.backbone)
    if path is None or request.backbone in backbone_names():
        return catalogued.prepare(request, find_backbone(request.backbone), folder, progress)
    if request.weights:
        raise SettingError(f"--weights does not go with {path}: that model has weights of its own. Leave it out.")
    from tasks.backbone import own_models  # noqa: PLC0415 (imports TensorFlow)

    return own_models.prepare(request, path)
