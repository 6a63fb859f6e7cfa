"""The user's own models as backbones: a SavedModel, a `.keras` file, or a frozen graph."""

from pathlib import Path

from tasks.backbone.backbones import Backbone, Kind, Prepared
from tasks.backbone.frozen_graph import input_size as graph_size
from tasks.backbone.frozen_graph import read_graph
from tasks.backbone.graph_nodes import tensor_of
from tasks.backbone.keras_files import look
from tasks.backbone.load import measure_width
from tasks.backbone.model_file_errors import UNREADABLE, first_line
from tasks.backbone.request import AUTO, LAST, BackboneRequest
from tasks.backbone.saved_models import saved_size
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError, SettingError

#: For whom each scaling is.
_CHOICES = {
    "raw": "it scales by itself",
    "unit": "0 to 1",
    "symmetric": "-1 to 1",
    "inception": "the Inception of 2015",
    "torch": "trained with PyTorch",
    "caffe": "trained with Caffe, and Keras' ResNet and VGG",
}
#: Ops of a graph that no bottleneck comes out of.
_NOT_COMPUTED = {"Const", "Identity", "NoOp", "Placeholder"}
_MOST_LISTED = 8


def prepare(request: BackboneRequest, path: Path) -> Prepared:
    """Look at a model of the user's, and describe it.

    Args:
        request: What the user asks for.
        path: The file, or the folder of a SavedModel.

    Raises:
        SettingError: It is no model, or something that cannot be seen in the file is not given.
        BackboneError: It cannot be loaded, or makes no bottlenecks of photos.
    """
    kind = _kind(path)
    layers = _layers(request, kind)
    if kind == "frozen_graph":
        _check_tensors(request, path)
    elif request.input_tensor:
        raise SettingError(f"--input-tensor is for frozen graphs; {path} says itself where photos go in. Leave it out.")
    if kind == "keras_file":
        own_size, scales = look(path)
        scaling = "raw" if request.scaling == AUTO and scales else _scaling(request, path)
    else:
        scaling = _scaling(request, path)
        own_size = saved_size(path) if kind == "saved_model" else graph_size(path, request.input_tensor)
    backbone = Backbone(
        name=path.name if kind == "saved_model" else path.stem,
        kind=kind,
        model="",
        weights_sha256=weights_sha256(path),
        size=_size(request, path, own_size),
        layers=layers,
        widths=(0,) * len(layers),
        scaling=scaling,
        input_tensor=request.input_tensor,
    )
    return _tried(Prepared(backbone, path))


def _layers(request: BackboneRequest, kind: Kind) -> tuple[str, ...]:
    """The names in `--bottleneck-tensor`; a single empty one is the model's own choice."""
    names = tuple(name.strip() for name in request.bottleneck_tensor.split(","))
    if len(names) > 1 and not all(names):
        raise SettingError(
            f"--bottleneck-tensor is {request.bottleneck_tensor!r}, with nothing before or after a comma. Give the "
            "names that are meant, with a comma between two."
        )
    full = [tensor_of(name) for name in names] if kind == "frozen_graph" else list(names)
    twice = [name for name in full if full.count(name) > 1]
    if twice:
        raise SettingError(f"--bottleneck-tensor names {twice[0]} twice. Name it once.")
    return names[:1] if request.layers == LAST else names


def _kind(path: Path) -> Kind:
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    if path.is_file() and path.suffix == ".keras":
        return "keras_file"
    if path.is_file() and path.suffix == ".pb":
        return "frozen_graph"
    raise SettingError(
        f"{path} is no model that can be a backbone. Give the folder of a SavedModel, with saved_model.pb in it, a "
        ".keras file, or a frozen graph (.pb)."
    )


def _check_tensors(request: BackboneRequest, path: Path) -> None:
    """Refuse a frozen graph without its two tensors, and tell which it has."""
    if request.input_tensor and request.bottleneck_tensor:
        return
    nodes = read_graph(path).node
    inputs = [f"{node.name}:0" for node in nodes if node.op == "Placeholder"]
    outputs = [f"{node.name}:0" for node in nodes if node.op not in _NOT_COMPUTED]
    raise SettingError(
        f"The frozen graph {path} needs --input-tensor, where scaled pixels go in, and --bottleneck-tensor. Its "
        f"placeholders: {', '.join(inputs[:_MOST_LISTED]) or 'none'}; its last tensors: "
        f"{', '.join(outputs[-_MOST_LISTED:]) or 'none'}."
    )


def _scaling(request: BackboneRequest, path: Path) -> str:
    if request.scaling in SCALINGS:
        return request.scaling
    listed = "; ".join(f"{name}: {SCALINGS[name].formula} ({whom})" for name, whom in _CHOICES.items())
    raise SettingError(
        f"How {path} wants its pixels, which are x = 0 to 255, cannot be seen in it, and a wrong scaling costs "
        f"accuracy without a word. Give --scaling as it was trained with: {listed}."
    )


def _size(request: BackboneRequest, path: Path, own: int | None) -> int:
    if own is None and not request.size:
        raise SettingError(f"{path} leaves the size of photos open. Give --image-size, the pixels it was trained with.")
    if own is not None and request.size not in {0, own}:
        raise SettingError(f"--image-size is {request.size}, {path} takes {own} pixels only. Leave it out.")
    return own or request.size


def _tried(prepared: Prepared) -> Prepared:
    """Learn the widths, and whether the network runs at all."""
    try:
        return measure_width(prepared)
    except UNREADABLE as exc:
        raise BackboneError(
            f"{prepared.weights} fails on photos of {prepared.backbone.size} pixels ({first_line(exc)}). Give another "
            "--image-size or --bottleneck-tensor, or export it again."
        ) from exc
