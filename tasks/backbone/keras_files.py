"""A user's `.keras` file as a backbone, read in Keras' safe mode, which runs no code of the file."""

import json
import zipfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from tasks.backbone.backbones import Backbone
from tasks.backbone.keras_containers import CONFIG, check_archive
from tasks.backbone.kinds.base import InputFormat
from tasks.backbone.layers import layer_averages, leaves
from tasks.backbone.model_file_errors import UNREADABLE, first_line, input_size, strictly
from tasks.backbone.scaling import SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import keras

#: Keras' modules of the parts of a network; its other modules load, fetch and write.
_PARTS = frozenset(
    {
        *("activations", "applications", "constraints", "dtype_policies", "initializers", "layers", "models", "ops"),
        *("quantizers", "random", "regularizers"),
    }
)
#: Layers that run code of the file, or read files that it names.
_HARMFUL = frozenset(
    {
        *("Lambda", "__lambda__", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"),
        *("FeatureSpace", "IntegerLookup", "StringLookup", "TextVectorization"),
    }
)
_REMEDY = "Save the model without it, or as a SavedModel with model.export(folder)."
#: Layers without weights that may follow a classifier's last Dense.
_ENDINGS = (keras.layers.Activation, keras.layers.Softmax)
#: A first layer that scales 0 to 255 gives no larger numbers.
_LARGEST_SCALED = 20.0
_MAX_LISTED = 10


def read_input(path: Path) -> InputFormat:
    """Read the format of the input of a `.keras` file; see `BackboneKind.read_input`."""
    model = _read(path)
    size = input_size(path, model.inputs[0].shape)
    first = takewhile(lambda layer: not layer.weights or isinstance(layer, keras.layers.Normalization), leaves(model))
    is_raw = any(map(_scales_pixels, first))
    del model
    keras.utils.clear_session(free_memory=True)
    return InputFormat(size, "raw" if is_raw else "")


def build_keras(backbone: Backbone, path: Path, *, pretrained: bool = True) -> "keras.Model":
    """Build the model of a `.keras` file, without its classes; see `TrainableKind.build_layers`.

    Raises:
        SettingError: The file has no layer of such a name.
    """
    model = _read(path)
    if not pretrained:
        model = _untrained(model)
    activations = [_activations(model, name, path) for name in backbone.layers]
    network = keras.Model(model.inputs[0], activations, name=model.name)
    _unfreeze(network)
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    return layer_averages(pixels, SCALINGS[backbone.scaling].apply(pixels), network)


def _read(path: Path) -> "keras.Model":
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(CONFIG))["config"]
        _refuse_code(path, config)
        with strictly():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except UNREADABLE as exc:
        raise BackboneError(
            f"{path} is damaged, or no .keras file that Keras {keras.__version__} can load ({first_line(exc)}). "
            "Save the model again with model.save()."
        ) from exc
    if len(getattr(model, "inputs", None) or ()) != 1:
        raise BackboneError(f"{path} does not take one batch of photos. Save a model with a single Input.")
    return model


def _refuse_code(path: Path, config: Any) -> None:
    """Refuse layers that Keras could rebuild only by running code of the file, or has no code for."""
    for part in _objects(config):
        kind, settings = part["class_name"], part.get("config")
        layer = f" {settings['name']!r}" if isinstance(settings, dict) and "name" in settings else ""
        if kind in _HARMFUL:
            raise BackboneError(
                f"{path} has the {kind} layer{layer}, which runs code or reads files of its own, and neither is ever "
                f"done here. {_REMEDY}"
            )
        if not _is_part(part.get("module")):
            name = f"{part['module']}.{settings if isinstance(settings, str) else kind}"
            raise BackboneError(f"{path} has the layer{layer} {name!a}, of which Keras makes no network. {_REMEDY}")


def _is_part(module: object) -> bool:
    """Tell whether a module of Keras has parts of networks. Keras writes its own functions as builtins."""
    if module in {None, "builtins", "keras"}:
        return True
    package, *inner = [name for name in str(module).split(".") if name != "src"]
    return package == "keras" and bool(inner) and inner[0] in _PARTS


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Iterate over the objects in a configuration of Keras, the outer ones first."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _objects(value)


def _scales_pixels(layer: Any) -> bool:
    if not isinstance(layer, (keras.layers.Normalization, keras.layers.Rescaling)):
        return False
    ends = np.full((2, 1, 1, 3), [[[[0.0]]], [[[255.0]]]], np.float32)
    return bool(np.abs(np.asarray(layer(ends))).max() < _LARGEST_SCALED)


def _activations(model: "keras.Model", name: str, path: Path) -> Any:
    """Return the output of the named layer; without a name, the input of a last Dense, else the model's output."""
    try:
        if name:
            found = [layer for layer in model.layers if layer.name == name]
            if not found:
                raise SettingError(f"{path} has no layer {name!r}. Name one with --bottleneck-tensor: {_names(model)}.")
            return found[0].output
        if len(model.outputs) > 1:
            raise SettingError(
                f"{path} has {len(model.outputs)} outputs. Name a layer with --bottleneck-tensor: {_names(model)}."
            )
        last = [layer for layer in model.layers if not isinstance(layer, _ENDINGS)][-1]
        return last.input if isinstance(last, keras.layers.Dense) else model.outputs[0]
    except (AttributeError, ValueError) as exc:
        raise BackboneError(
            f"{path}: it is not clear which tensor is {f'that of {name}' if name else 'the bottleneck'} "
            f"({first_line(exc)}). Name another layer with --bottleneck-tensor: {_names(model)}."
        ) from exc


def _names(model: "keras.Model") -> str:
    names = [layer.name for layer in model.layers]
    return f"{'..., ' if len(names) > _MAX_LISTED else ''}{', '.join(names[-_MAX_LISTED:])}"


def _unfreeze(model: "keras.Model") -> None:
    """Make every layer trainable; one by one, since a model that is trainable already does not set its layers."""
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _unfreeze(layer)
        else:
            layer.trainable = True


def _untrained(model: "keras.Model") -> "keras.Model":
    """Copy the model with random weights, but with the statistics of a `Normalization`."""
    clone = keras.models.clone_model(model)
    for layer, known in zip(leaves(clone), leaves(model), strict=True):
        if isinstance(known, keras.layers.Normalization):
            layer.set_weights(known.get_weights())
            layer.finalize_state()
    return clone
