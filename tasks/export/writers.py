"""Writes a classifier in each format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from tasks.backbone.model_file_errors import first_line
from tasks.bottleneck.litert_forward import convert_to_tflite, int8_network, quantise_network
from tasks.bottleneck.openvino_forward import convert_network, openvino_network
from tasks.errors import BackboneError, ModelError
from tasks.export import layers
from tasks.export.classifier import OUTPUTS, Branch, Classifier, freeze_classifier
from tasks.export.formats import (
    INPUT,
    KERAS,
    OPENVINO,
    SAVED_MODEL,
    TFLITE,
    TFLITE_INT8,
    ExportFormat,
)
from tasks.export.keras_file import save_keras
from tasks.export.openvino_ir import write_openvino
from tasks.export.tflite_merge import MergedModel, MergedPart
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import tf
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

#: Bytes from which a constant of a graph becomes a variable of the SavedModel, in files that exports share.
_SHARED_BYTES = 1024


def write_formats(
    model: Model, classifier: Classifier, folder: Path, root: DataRoot, progress: Progress
) -> Mapping[str, str]:
    """Write a model in every format that supports it; returns the reasons for missing formats, by their names.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: A cached network is damaged.
    """
    networks = _Networks(model, classifier, root, progress)
    writers: Mapping[ExportFormat, Callable[[], None]] = {
        SAVED_MODEL: partial(save_saved_model, classifier, model.labels, folder),
        KERAS: partial(save_keras, classifier, model.labels, folder),
        TFLITE: lambda: _write(folder, TFLITE, merge_tflite(networks.float_parts(), classifier)),
        TFLITE_INT8: lambda: _write(folder, TFLITE_INT8, merge_tflite(networks.int8_parts(), classifier)),
        OPENVINO: lambda: write_openvino(classifier, networks.openvino(), folder),
    }
    progress.start(len(writers), "file")
    lacking = {}
    for format_, write in writers.items():
        try:
            write()
        except ModelError as exc:
            lacking[format_.name] = str(exc)
        progress.advance(1)
    return lacking


def _write(folder: Path, format_: ExportFormat, data: bytes) -> None:
    (folder / format_.name).write_bytes(data)


class _Networks:
    """The networks of a classifier's branches in the formats of LiteRT and OpenVINO, each converted once.

    Those of a head's backbones are cached where the bottleneck stage caches them.
    """

    def __init__(self, model: Model, classifier: Classifier, root: DataRoot, progress: Progress) -> None:
        self._model, self._classifier, self._root, self._progress = model, classifier, root, progress

    def float_parts(self) -> list[MergedPart]:
        """The network of each branch, in float32: pixels, uint8, to one output."""
        return self._each(lambda _, branch: MergedPart(_to_tflite(branch, self._size(branch))))

    def int8_parts(self) -> list[MergedPart]:
        """The network of each branch, in int8: pixels, uint8, to an output for each layer."""
        return self._each(lambda number, branch: MergedPart(self._quantised(number, branch)))

    def openvino(self) -> list[bytes]:
        """The network of each branch, as `convert_network` returns it."""
        return self._each(self._converted)

    def _each(self, convert: Callable[[int, Branch], Any]) -> list[Any]:
        """Convert the networks of the first crop, and repeat them for the other crops."""
        converted = [convert(number, branch) for number, branch in enumerate(self._classifier.crops[0])]
        return converted * len(self._classifier.crops)

    def _size(self, branch: Branch) -> int:
        return self._classifier.decodes[branch.pixels].size

    def _quantised(self, number: int, branch: Branch) -> bytes:
        settings = self._model.settings
        decode = self._classifier.decodes[branch.pixels]
        try:
            if not isinstance(settings, TrainSettings):
                return quantise_network(branch.network, decode, settings.backbone.name)
            bottleneck = settings.by_backbone[number][0]
            folder = self._root.bottleneck(replace(bottleneck, precision="int8").key)
            return int8_network(self._model.prepared[number], decode, folder, self._progress)
        except BackboneError as exc:
            name = settings.backbones[number].name
            raise ModelError(f"{name} is a network that LiteRT cannot compute in int8.") from exc

    def _converted(self, number: int, branch: Branch) -> bytes:
        settings = self._model.settings
        try:
            if not isinstance(settings, TrainSettings):
                return convert_network(branch.network, self._size(branch))
            folder = self._root.bottleneck(settings.by_backbone[number][0].key)
            return openvino_network(self._model.prepared[number], folder, self._progress)
        except BackboneError as exc:
            raise ModelError(str(exc)) from exc


def save_saved_model(classifier: Classifier, labels: tuple[str, ...], folder: Path) -> None:
    """Write a SavedModel: photos' files, string [N], to labels, string [N], and the outputs of the classifier.

    The weights of the backbones are variables, whose files are the same for every head; the head is in the graph.
    """
    graph = freeze_classifier(classifier)
    nodes = graph.graph.node
    decoders, best = [layers.PhotoDecoder(**asdict(decode)) for decode in classifier.decodes], layers.BestLabel(labels)
    own = [] if classifier.head is None else [array.tobytes() for array in classifier.head.arrays.values()]
    module = tf.Module()
    shared = [node for node in nodes if node.op == "Const" and _is_shared(node.attr["value"].tensor, own)]
    module.shared = {
        node.name: tf.Variable(tf.make_ndarray(node.attr["value"].tensor), trainable=False) for node in shared
    }
    kept = [node for node in nodes if node.name not in module.shared]
    del nodes[:]
    nodes.extend(kept)

    def serve(photos: Any) -> dict[str, Any]:
        pixels = [tf.cast(decoder.call(photos), tf.uint8) for decoder in decoders]
        variables = {name: variable.read_value() for name, variable in module.shared.items()}
        outputs = graph.call(*pixels, constants=variables)
        return {"label": best.call(outputs[0]), **dict(zip(OUTPUTS, outputs, strict=False))}

    files = tf.TensorSpec((None,), tf.string, INPUT)
    # As a signature only: as a function of the module, it would store the graph a second time.
    signature = tf.function(serve, autograph=False).get_concrete_function(files)
    tf.saved_model.save(module, str(folder), {"serving_default": signature})
    # A hash of a graph with another head; TensorFlow does without it.
    (folder / "fingerprint.pb").unlink()


def _is_shared(tensor: Any, own: Sequence[bytes]) -> bool:
    return len(tensor.tensor_content) >= _SHARED_BYTES and tensor.tensor_content not in own


def _to_tflite(branch: Branch, size: int) -> bytes:
    pixels = tf.TensorSpec((1, size, size, 3), tf.uint8)
    try:
        return convert_to_tflite(lambda photo: branch.network(tf.cast(photo, tf.float32)), [pixels])
    except ModelError:
        raise
    except Exception as exc:  # the converter has no exceptions of its own
        raise ModelError(
            f"LiteRT cannot compute the network ({first_line(exc)}). Take another --backbone to export to LiteRT."
        ) from exc


def _mirror(pixels: Any) -> Any:
    return pixels[:, :, ::-1]


def merge_tflite(parts: Sequence[MergedPart], classifier: Classifier) -> bytes:
    """Append the head, in float32, to the networks of the branches, each of which is run on each view.

    The head stays in float: square roots and sums of a thousand products lose too much in 8 bits. The averages of each
    layer have their own scale.

    Args:
        parts: For each branch, a TFLite model: pixels, uint8 [1, S, S, 3], to the result of its network as one or more
            outputs, float32 [1, K]. A head on the last layer uses only the first one.
        classifier: The head, the views and the crops.

    Returns:
        A TFLite model: pixels, uint8 [1, S, S, 3], for each decode, to the outputs of the classifier.
    """
    merged = MergedModel()
    part_of = {branch.pixels: part for branch, part in zip(classifier.branches, parts, strict=True)}
    views = [[merged.add_input(part_of[number])] for number in range(len(classifier.decodes))]
    if classifier.views == 2:
        mirrors = [MergedPart(convert_to_tflite(_mirror, [pixels])) for pixels in classifier.input_specs(1)]
        views = [[*plain, *merged.call(mirror, plain)] for plain, mirror in zip(views, mirrors, strict=True)]
    averages: list[list[int]] = []
    first_only = classifier.head is not None and not classifier.head.rooted
    width = len(classifier.crops[0])
    for start in range(0, len(parts), width):
        for view in range(classifier.views):
            branches = zip(classifier.branches[start : start + width], parts[start : start + width], strict=True)
            outputs = [merged.call(part, [views[branch.pixels][view]]) for branch, part in branches]
            averages.append([output for own in outputs for output in (own[:1] if first_only else own)])
    widths = [int(merged.shape(output)[-1]) for output in averages[0]]
    # Each input has a name: the converter sorts inputs without one.
    inputs = [
        tf.TensorSpec((1, width), tf.float32, f"view{view:02}_layer{layer:02}")
        for view in range(len(averages))
        for layer, width in enumerate(widths)
    ]

    def head(*values: Any) -> list[Any]:
        by_view = [tf.concat(values[start : start + len(widths)], 1) for start in range(0, len(values), len(widths))]
        return [tf.reduce_mean(each, 0, keepdims=True) for each in classifier.apply_head(tf.concat(by_view, 0))]

    flat = [output for view in averages for output in view]
    return merged.finish(merged.call(MergedPart(convert_to_tflite(head, inputs)), flat))
