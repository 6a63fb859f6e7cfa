"""A user's SavedModel as a backbone.

A SavedModel is a graph, and loading it runs no Python of its author. But a graph can hold any op of TensorFlow, also
one that reads or writes files. So all functions that can be called are checked before it is loaded. The functions that
save and restore variables are not checked and never called: TensorFlow restores variables by itself.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from tasks.backbone.backbones import Backbone
from tasks.backbone.model_file_errors import UNREADABLE, first_line, input_size
from tasks.backbone.op_allowlist import check_ops
from tasks.backbone.scaling import SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import tf

SIGNATURE = "serving_default"


class _EntryPoint(NamedTuple):
    """The way to call a SavedModel: a function of pixels, the specification of the pixels, and its outputs' names."""

    call: Callable[[Any], Any]
    pixels: Any
    outputs: list[str]


def saved_size(path: Path) -> int | None:
    """Read the size of a SavedModel's input in pixels; None where it is open.

    Raises:
        BackboneError: It cannot be loaded, or takes something other than photos.
    """
    pixels = _open(path).pixels
    shape = pixels.shape
    if shape.rank is None or pixels.dtype != tf.float32:
        raise BackboneError(
            f"{path} takes {pixels.dtype.name} of shape {shape}, but float32 of [None, size, size, 3] is needed: any "
            "number of square photos in RGB. Export it with such an input."
        )
    return input_size(path, shape.as_list())


def saved_network(backbone: Backbone, weights: Path) -> Callable[[Any], tuple[Any, ...]]:
    """Load a SavedModel; see `BackboneKind.load_layers`. Feature maps are averaged over height and width.

    Raises:
        SettingError: The outputs are not named, or do not exist.
    """
    entry_point = _open(weights)
    names = [_output(name, weights, entry_point.outputs) for name in backbone.layers]
    scaling = SCALINGS[backbone.scaling]

    def network(pixels: Any) -> tuple[Any, ...]:
        result = entry_point.call(scaling.apply(pixels))
        outputs = [result[name] if isinstance(result, Mapping) else result for name in names]
        averages = [tf.reduce_mean(output, (1, 2)) if output.shape.rank == 4 else output for output in outputs]
        return tuple(tf.cast(average, tf.float32) for average in averages)

    return network


def _open(path: Path) -> _EntryPoint:
    try:
        _check(path)
        loaded = tf.saved_model.load(str(path))
    except (*UNREADABLE, DecodeError) as exc:
        raise BackboneError(
            f"The SavedModel {path} is damaged, or TensorFlow {tf.__version__} cannot load it ({first_line(exc)}). "
            "Export it again."
        ) from exc
    if SIGNATURE in loaded.signatures:
        function = loaded.signatures[SIGNATURE]
    elif callable(loaded):
        function = loaded.__call__.concrete_functions[0]
    else:
        raise BackboneError(
            f"The SavedModel {path} has no signature {SIGNATURE}, and cannot be called as a whole. Export it with "
            "model.export(folder)."
        )
    positional, named = function.structured_input_signature
    tensors = [each for each in (*positional, *named.values()) if isinstance(each, tf.TensorSpec)]
    if len(tensors) != 1:
        raise BackboneError(
            f"{path} takes {len(tensors)} inputs, but only photos can be given. Export it with one input."
        )

    def call(pixels: Any) -> Any:
        # Through the loaded object, which keeps the variables alive; the signature alone does not.
        if SIGNATURE in loaded.signatures:
            return loaded.signatures[SIGNATURE](**dict.fromkeys(named, pixels))
        return loaded(pixels)  # as TensorFlow Hub does

    outputs = function.structured_outputs
    return _EntryPoint(call, tensors[0], sorted(outputs) if isinstance(outputs, Mapping) else [""])


def _check(path: Path) -> None:
    """Refuse a SavedModel of TensorFlow 1, or one that holds ops that do more than compute."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graphs = SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise BackboneError(
            f"The SavedModel {path} is of TensorFlow 1, and loading it would run any op it holds. Give a frozen graph "
            "(.pb) of it, or export it with TensorFlow 2."
        )
    library = graphs[0].graph_def.library
    functions = {function.signature.name: function.node_def for function in library.function}
    reachable = graphs[0].object_graph_def.concrete_functions
    check_ops(path, [node for name in reachable for node in functions.get(name, ())], library)


def _output(name: str, weights: Path, outputs: list[str]) -> str:
    if not name and len(outputs) == 1:
        return outputs[0]
    if name not in outputs:
        listed = ", ".join(filter(None, outputs)) or "a single one without a name"
        raise SettingError(
            f"{weights} has {f'no output {name!r}' if name else 'several outputs'}. Name one with "
            f"--bottleneck-tensor: {listed}."
        )
    return name
