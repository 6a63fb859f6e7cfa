"""Writes a classifier in OpenVINO's format (IR), from the backbones that the bottleneck stage has converted."""

import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tasks.bottleneck.openvino_forward import GRAPH, WEIGHTS, convert_network
from tasks.errors import BackboneError, ModelError
from tasks.export.classifier import OUTPUTS, Branch, Classifier
from tasks.export.formats import OPENVINO, input_names
from tasks.runtime.openvino_import import ops, ov
from tasks.train.head import Head
from tasks.train.novelty import SOFTNESS, Background


def write_openvino(classifier: Classifier, networks: Sequence[bytes], folder: Path) -> None:
    """Write `model.xml` and `model.bin`: pixels, uint8 [N, S, S, 3], for each decode, to the outputs of the classifier.

    Args:
        classifier: The head, the views and the crops.
        networks: The network of each branch, as `convert_network` returns it.
        folder: The folder to write to.

    Raises:
        ModelError: OpenVINO computes a network for single photos only.
    """
    inputs = []
    for decode, name in zip(classifier.decodes, input_names(len(classifier.decodes)), strict=True):
        pixels = ops.parameter([-1, decode.size, decode.size, 3], np.uint8, name=name)
        pixels.set_layout(ov.Layout("NHWC"))
        pixels.output(0).set_names({name})
        inputs.append(pixels)
    views = [_views(pixels, classifier.views) for pixels in inputs]
    averages = [
        _apply_network(network, branch, views[branch.pixels], classifier.head)
        for branch, network in zip(classifier.branches, networks, strict=True)
    ]
    width = len(classifier.crops[0])
    crops = [_concat(averages[start : start + width], 1) for start in range(0, len(averages), width)]
    outputs = []
    for name, each in zip(OUTPUTS, _apply_head(_concat(crops, 0), classifier.head), strict=False):
        length = each.output(0).partial_shape[1].get_length()
        by_view = ops.reshape(each, np.array([len(crops) * classifier.views, -1, length]), special_zero=False)
        outputs.append(ops.reduce_mean(by_view, np.array([0])))
        outputs[-1].output(0).set_names({name})
    ov.save_model(ov.Model(outputs, inputs, "photos"), folder / OPENVINO.name, compress_to_fp16=False)


def _concat(nodes: Sequence[Any], axis: int) -> Any:
    return ops.concat(list(nodes), axis) if len(nodes) > 1 else nodes[0]


def _views(pixels: Any, views: int) -> Any:
    if views == 1:
        return pixels
    # A step of -1 in the axis of the width.
    ends = np.array([0, 0, np.iinfo(np.int64).min, 0])
    steps = np.array([1, 1, -1, 1])
    mirrored = ops.strided_slice(pixels, np.array([0, 0, -1, 0]), ends, steps, [1, 1, 0, 1], [1, 1, 1, 1])
    return ops.concat([pixels, mirrored], 0)


def _apply_network(network: bytes, branch: Branch, pixels: Any, head: Head | None) -> Any:
    """Continue pixels, uint8 [N, S, S, 3], with a network, up to the averages of the layers that the head takes."""
    model = _read_for_batches(network, branch, pixels.output(0).partial_shape[1].get_length())
    (parameter,), (result,) = model.get_parameters(), model.get_results()
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    averages = result.input_value(0).get_node()
    if head is None or head.rooted or branch.prepared is None:
        return averages
    last = np.array([branch.prepared.backbone.widths[0]])
    return ops.slice(averages, np.array([0]), last, np.array([1]), np.array([1]))


def _read_for_batches(network: bytes, branch: Branch, size: int) -> Any:
    """Read a network for any number of photos; one that can be computed for single photos only is converted again."""
    if (model := _read_reshaped(network)) is None:
        try:
            model = _read_reshaped(convert_network(branch.network, size, photos=None))
        except BackboneError as exc:
            raise ModelError(str(exc)) from exc
    if model is None:
        raise ModelError("OpenVINO computes the network for single photos only.")
    return model


def _read_reshaped(network: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(network)) as archive:
        model = ov.Core().read_model(archive.read(GRAPH), archive.read(WEIGHTS))
    with suppress(RuntimeError):
        model.reshape([-1, *model.input(0).partial_shape[1:]])
        # A network that was converted for one photo may have that number among its constants.
        return model if model.output(0).partial_shape[0].is_dynamic else None
    return None


def _apply_head(averages: Any, head: Head | None) -> list[Any]:
    """Return the outputs of N views, probabilities, float32 [N, C], and of a head its novelty, float32 [N, 1]."""
    if head is None:
        return [ops.softmax(averages, 1)]
    values = ops.multiply(ops.sign(averages), ops.sqrt(ops.absolute(averages))) if head.rooted else averages
    scores = _apply_layer(values, head)
    return [ops.softmax(scores, 1), _compute_novelty(scores, head.background)]


def _apply_layer(values: Any, layer: Head | Background) -> Any:
    products = ops.matmul(values, ops.constant(layer.weights), False, False)
    return ops.add(products, ops.constant(layer.biases[None]))


def _compute_novelty(scores: Any, background: Background | None) -> Any:
    """Compute the novelty as `tasks.export.classifier.compute_novelty` does."""
    axis, softness = np.array([1]), np.float32(1.0 if background is None else SOFTNESS)
    largest = ops.reduce_max(scores, axis, keep_dims=True)
    shifted = ops.subtract(scores, largest)
    logarithm = ops.log(ops.reduce_sum(ops.exp(ops.divide(shifted, softness)), axis, keep_dims=True))
    energy = ops.negative(ops.add(largest, ops.multiply(softness, logarithm)))
    if background is None:
        return energy
    layer = _apply_layer(shifted, background)
    return ops.add(energy, ops.reduce_sum(ops.multiply(layer, layer), axis, keep_dims=True))
