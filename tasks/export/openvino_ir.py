"""Writes a classifier in OpenVINO's format (IR), from the backbones that the bottleneck stage has converted."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.bottleneck.openvino_forward import GRAPH, WEIGHTS
from tasks.errors import ModelError
from tasks.export.classifier import Branch, Classifier
from tasks.export.formats import OPENVINO, input_names
from tasks.runtime.openvino_import import ops, ov
from tasks.train.head import Head


def write_openvino(classifier: Classifier, networks: Sequence[bytes], folder: Path) -> None:
    """Write `model.xml` and `model.bin`: pixels, uint8 [N, S, S, 3], for each decode, to float32 [N, C].

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
    outputs = _apply_head(_concat(crops, 0), classifier.head)
    labels = outputs.output(0).partial_shape[1].get_length()
    by_view = ops.reshape(outputs, np.array([len(crops) * classifier.views, -1, labels]), special_zero=False)
    probabilities = ops.reduce_mean(by_view, np.array([0]))
    probabilities.output(0).set_names({"probabilities"})
    ov.save_model(ov.Model([probabilities], inputs, "photos"), folder / OPENVINO.name, compress_to_fp16=False)


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
    with zipfile.ZipFile(io.BytesIO(network)) as archive:
        model = ov.Core().read_model(archive.read(GRAPH), archive.read(WEIGHTS))
    (parameter,), (result,) = model.get_parameters(), model.get_results()
    try:
        model.reshape([-1, *parameter.shape[1:]])
    except RuntimeError as exc:
        raise ModelError(f"OpenVINO computes {model.get_friendly_name()} for single photos only.") from exc
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(pixels.output(0))
    averages = result.input_value(0).get_node()
    if head is None or head.rooted or branch.prepared is None:
        return averages
    last = np.array([branch.prepared.backbone.widths[0]])
    return ops.slice(averages, np.array([0]), last, np.array([1]), np.array([1]))


def _apply_head(averages: Any, head: Head | None) -> Any:
    if head is None:
        return ops.softmax(averages, 1)
    values = ops.multiply(ops.sign(averages), ops.sqrt(ops.absolute(averages))) if head.rooted else averages
    scores = ops.add(ops.matmul(values, ops.constant(head.weights), False, False), ops.constant(head.biases[None]))
    return ops.softmax(scores, 1)
