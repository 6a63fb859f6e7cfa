"""Turns a user's request into a backbone that is described and has its weights at hand."""

from dataclasses import replace
from pathlib import Path

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import BackboneKind, UserModelKind
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.catalog import USER_CATALOG, backbone_names, find_backbone, given_path
from tasks.errors import BackboneError, SettingError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.files import local


def prepare_backbone(request: BackboneRequest, folder: AnyPath, progress: Progress) -> Prepared:
    """Find a backbone's weights, or fetch them into a folder; and describe it.

    Raises:
        SettingError: There is no such backbone, or a parameter does not go with it.
        BackboneError: Its weights are missing, damaged, or of another network.
        DownloadError: They could not be fetched, or are not the file of the first time.
    """
    prefixed = [kind for kind in KINDS.values() if kind.prefix and request.backbone.startswith(kind.prefix)]
    path = None if prefixed else given_path(request.backbone)
    if path is not None and request.backbone not in backbone_names():
        return _prepare_path(request, path)
    kind = prefixed[0] if prefixed else _kind_in_catalog(request.backbone)
    if (request.scaling != AUTO and not kind.takes_scaling) or request.input_tensor or request.bottleneck_tensor:
        raise SettingError(
            f"--scaling, --input-tensor and --bottleneck-tensor are for models of your own; {request.backbone} brings "
            "its own. Leave them out."
        )
    return kind.prepare(request, folder, progress)


def prepare_own(request: BackboneRequest, path: Path) -> Prepared:
    """Describe a user's model: a file, or the folder of a SavedModel.

    Raises:
        SettingError: It is no model, or a parameter that the file does not contain is missing.
        BackboneError: It cannot be loaded, or gives no bottlenecks of photos.
    """
    user_kinds = (kind for kind in KINDS.values() if isinstance(kind, UserModelKind))
    kind = next((kind for kind in user_kinds if kind.is_model(path)), None)
    if kind is None:
        raise SettingError(
            f"{path} is no model that can be a backbone. Give the folder of a SavedModel, with saved_model.pb in it, a "
            ".keras or .onnx file, or a frozen graph (.pb)."
        )
    layers = _layers(request, kind)
    if request.input_tensor and not kind.has_tensors:
        raise SettingError(f"--input-tensor is for frozen graphs; {path} says itself where photos go in. Leave it out.")
    own = kind.read_input(request, path)
    backbone = Backbone(
        name=path.name if path.is_dir() else path.stem,
        kind=kind.name,
        model="",
        weights_sha256=weights_sha256(path),
        size=_size(request, path, own.size),
        layers=layers,
        widths=(0,) * len(layers),
        scaling=own.scaling if request.scaling == AUTO and own.scaling else check_scaling(request, path),
        input_tensor=request.input_tensor,
    )
    return kind.measure_width(Prepared(backbone, path))


def _prepare_path(request: BackboneRequest, path: AnyPath) -> Prepared:
    if request.weights:
        raise SettingError(f"--weights does not go with {path}: that model has weights of its own. Leave it out.")
    try:
        here = local(path)
    except FileNotFoundError as exc:
        raise BackboneError(f"There is no model at {path}. Give --backbone the address of one that is there.") from exc
    return replace(prepare_own(request, here), weights=path)


def _kind_in_catalog(name: str) -> BackboneKind:
    kind = find_backbone(name).kind
    if kind not in KINDS:
        raise SettingError(
            f"The catalog gives {name} the kind {kind!r}; known: {', '.join(KINDS)}. Correct it in {USER_CATALOG}."
        )
    return KINDS[kind]


def _layers(request: BackboneRequest, kind: BackboneKind) -> tuple[str, ...]:
    """Split `--bottleneck-tensor`; a single empty name leaves the choice to the model."""
    names = tuple(name.strip() for name in request.bottleneck_tensor.split(","))
    if len(names) > 1 and not all(names):
        raise SettingError(
            f"--bottleneck-tensor is {request.bottleneck_tensor!r}, with an empty name before or after a comma. "
            "Separate the names with single commas."
        )
    full = [name if ":" in name or not kind.has_tensors else f"{name}:0" for name in names]
    twice = [name for name in full if full.count(name) > 1]
    if twice:
        raise SettingError(f"--bottleneck-tensor names {twice[0]} twice. Name it once.")
    return names[:1] if request.layers == LAST else names


def _size(request: BackboneRequest, path: Path, own: int | None) -> int:
    if own is None and not request.size:
        raise SettingError(f"{path} leaves the size of photos open. Give --image-size, the pixels it was trained with.")
    if own is not None and request.size not in {0, own}:
        raise SettingError(f"--image-size is {request.size}, {path} takes {own} pixels only. Leave it out.")
    return own or request.size


def check_scaling(request: BackboneRequest, path: Path) -> str:
    """Return the scaling of a model that does not contain it.

    Raises:
        SettingError: The request does not name it.
    """
    if request.scaling in SCALINGS:
        return request.scaling
    listed = "; ".join(f"{name}: {known.formula} ({known.use})" for name, known in SCALINGS.items() if known.use)
    raise SettingError(
        f"{path} does not say how to scale its pixels, which are x = 0 to 255, and a wrong scaling costs accuracy "
        f"silently. Give --scaling as it was trained with: {listed}."
    )
