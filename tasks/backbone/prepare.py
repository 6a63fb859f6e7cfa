"""Makes of what a user asked for a backbone that is described and has its weights at hand."""

from dataclasses import replace

from tasks.backbone import catalog_models
from tasks.backbone.backbones import Prepared
from tasks.backbone.request import KERAS_PREFIX, BackboneRequest
from tasks.catalog import backbone_names, find_backbone, given_path
from tasks.errors import BackboneError, SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local


def prepare_backbone(request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
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
    path = given_path(request.backbone)
    if path is None or request.backbone in backbone_names():
        return catalog_models.prepare(request, find_backbone(request.backbone), folder, progress)
    if request.weights:
        raise SettingError(f"--weights does not go with {path}: that model has weights of its own. Leave it out.")
    from tasks.backbone import user_models  # noqa: PLC0415 (imports TensorFlow)

    try:
        here = local(path)
    except FileNotFoundError as exc:
        raise BackboneError(f"There is no model at {path}. Give --backbone the address of one that is there.") from exc
    return replace(user_models.prepare(request, here), weights=path)
