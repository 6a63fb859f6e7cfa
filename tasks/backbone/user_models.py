"""Describes a user's own model as a backbone."""

from pathlib import Path

from tasks.backbone.backbones import Backbone, Prepared
from tasks.backbone.graph_nodes import tensor_of
from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import BackboneKind
from tasks.backbone.load import measure_width
from tasks.backbone.model_file_errors import UNREADABLE, first_line
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError, SettingError

#: The models that each scaling is for.
_SCALING_USES = {
    "raw": "it scales by itself",
    "unit": "0 to 1",
    "symmetric": "-1 to 1",
    "inception": "the Inception of 2015",
    "torch": "trained with PyTorch",
    "caffe": "trained with Caffe, and Keras' ResNet and VGG",
}


def prepare(request: BackboneRequest, path: Path) -> Prepared:
    """Describe a user's model.

    Args:
        request: The user's request.
        path: The file, or the folder of a SavedModel.

    Raises:
        SettingError: It is no model, or a parameter that the file does not contain is missing.
        BackboneError: It cannot be loaded, or gives no bottlenecks of photos.
    """
    kind = _find_kind(path)
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
        scaling="raw" if request.scaling == AUTO and own.is_raw else _scaling(request, path),
        input_tensor=request.input_tensor,
    )
    return _measure(Prepared(backbone, path))


def _layers(request: BackboneRequest, kind: BackboneKind) -> tuple[str, ...]:
    """Split `--bottleneck-tensor`; a single empty name leaves the choice to the model."""
    names = tuple(name.strip() for name in request.bottleneck_tensor.split(","))
    if len(names) > 1 and not all(names):
        raise SettingError(
            f"--bottleneck-tensor is {request.bottleneck_tensor!r}, with an empty name before or after a comma. "
            "Separate the names with single commas."
        )
    full = [tensor_of(name) for name in names] if kind.has_tensors else list(names)
    twice = [name for name in full if full.count(name) > 1]
    if twice:
        raise SettingError(f"--bottleneck-tensor names {twice[0]} twice. Name it once.")
    return names[:1] if request.layers == LAST else names


def _find_kind(path: Path) -> BackboneKind:
    for kind in KINDS.values():
        if kind.is_model(path):
            return kind
    raise SettingError(
        f"{path} is no model that can be a backbone. Give the folder of a SavedModel, with saved_model.pb in it, a "
        ".keras file, or a frozen graph (.pb)."
    )


def _scaling(request: BackboneRequest, path: Path) -> str:
    if request.scaling in SCALINGS:
        return request.scaling
    listed = "; ".join(f"{name}: {SCALINGS[name].formula} ({use})" for name, use in _SCALING_USES.items())
    raise SettingError(
        f"{path} does not say how to scale its pixels, which are x = 0 to 255, and a wrong scaling costs accuracy "
        f"silently. Give --scaling as it was trained with: {listed}."
    )


def _size(request: BackboneRequest, path: Path, own: int | None) -> int:
    if own is None and not request.size:
        raise SettingError(f"{path} leaves the size of photos open. Give --image-size, the pixels it was trained with.")
    if own is not None and request.size not in {0, own}:
        raise SettingError(f"--image-size is {request.size}, {path} takes {own} pixels only. Leave it out.")
    return own or request.size


def _measure(prepared: Prepared) -> Prepared:
    """Measure the widths, which also shows whether the network runs."""
    try:
        return measure_width(prepared)
    except UNREADABLE as exc:
        raise BackboneError(
            f"{prepared.weights} fails on photos of {prepared.backbone.size} pixels ({first_line(exc)}). Give another "
            "--image-size or --bottleneck-tensor, or export it again."
        ) from exc
