"""Turns a user's request into a backbone that is described and has its weights at hand."""

from dataclasses import replace

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import BackboneKind
from tasks.backbone.request import AUTO, BackboneRequest
from tasks.catalog import USER_CATALOG, backbone_names, find_backbone, given_path
from tasks.errors import BackboneError, SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local


def prepare_backbone(request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
    """Find or fetch a backbone's weights, and describe it.

    Args:
        request: The user's request.
        folder: Where fetched files are kept.
        progress: Told the bytes as they arrive, and anything that a person should know.

    Raises:
        SettingError: There is no such backbone, or a parameter does not go with it.
        BackboneError: Its weights are missing, damaged, or of another network.
        DownloadError: They could not be fetched, or are not the file of the first time.
    """
    for kind in KINDS.values():
        if kind.prefix and request.backbone.startswith(kind.prefix):
            return _prepare_named(kind, request, folder, progress)
    path = given_path(request.backbone)
    if path is None or request.backbone in backbone_names():
        return _prepare_named(_kind_in_catalog(request.backbone), request, folder, progress)
    if request.weights:
        raise SettingError(f"--weights does not go with {path}: that model has weights of its own. Leave it out.")
    from tasks.backbone import user_models

    try:
        here = local(path)
    except FileNotFoundError as exc:
        raise BackboneError(f"There is no model at {path}. Give --backbone the address of one that is there.") from exc
    return replace(user_models.prepare(request, here), weights=path)


def _kind_in_catalog(name: str) -> BackboneKind:
    entry = find_backbone(name)
    if entry.kind not in KINDS:
        raise SettingError(
            f"The catalog gives {name} the kind {entry.kind!r}; known: {', '.join(KINDS)}. Correct it in "
            f"{USER_CATALOG}."
        )
    return KINDS[entry.kind]


def _prepare_named(kind: BackboneKind, request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
    if request.scaling != AUTO or request.input_tensor or request.bottleneck_tensor:
        raise SettingError(
            f"--scaling, --input-tensor and --bottleneck-tensor are for models of your own; {request.backbone} brings "
            "its own. Leave them out."
        )
    return kind.prepare(request, folder, progress)
