"""The input of a user's ONNX file: its size, its layout and its scaling, as far as the file states them."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from tasks.backbone.onnx_checks import read_onnx
from tasks.errors import BackboneError

#: Scalings by the names that the ONNX specification has for the range of pixels in a model's metadata.
_RANGES = {"NominalRange_0_255": "raw", "Normalized_0_1": "unit", "Normalized_1_1": "symmetric"}
_RANGE, _PIXELS = "Image.NominalPixelRange", "Image.BitmapPixelFormat"
#: Types of the input that a photo is converted to.
_KINDS = {"BFLOAT16", "DOUBLE", "FLOAT", "FLOAT16", "UINT8"}
_ARITHMETIC = {"Add": np.add, "Div": np.divide, "Mul": np.multiply, "Sub": np.subtract}
#: Operators that scale pixels from 0 to 255 give no larger numbers; those that continue another scaling do.
_LARGEST_SCALED = 20.0
#: Operators that scale pixels at most.
_MAX_STEPS = 16
_MAX_SIZE = 4096
_MAX_LISTED = 8


class PhotoInput(NamedTuple):
    """The input of an ONNX model that takes photos."""

    name: str  #: Name of the tensor.
    channels: int  #: Axis of the channels: 1 or 3.
    size: int | None  #: Height and width in pixels; None where they are open.
    scaling: str  #: Scaling that the file states; empty if it states none.


def read_photo_input(path: Path) -> PhotoInput:
    """Read the input of an ONNX file.

    Raises:
        BackboneError: It is no ONNX file, is damaged, is refused, or takes something other than photos.
    """
    return photo_input(path, read_onnx(path))


def photo_input(path: Path, model: Any) -> PhotoInput:
    """Find the input of photos of an `onnx.ModelProto`.

    Raises:
        BackboneError: It takes something other than photos.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    photos = [value for value in inputs if len(value.type.tensor_type.shape.dim) == 4]
    if len(photos) != 1:
        listed = "; ".join(f"{value.name} {_shape_text(value)}" for value in inputs[:_MAX_LISTED]) or "none"
        raise BackboneError(
            f"{path} has {len(photos)} inputs of four dimensions, and one is needed, for photos. Its inputs: {listed}. "
            "Export it with one input for photos."
        )
    kind = onnx.TensorProto.DataType.Name(photos[0].type.tensor_type.elem_type)
    if kind not in _KINDS:
        raise BackboneError(f"{path} takes photos as {kind}. Export it for {', '.join(sorted(_KINDS))}.")
    dimensions = photos[0].type.tensor_type.shape.dim
    axes = [axis for axis in (1, 3) if _is_channels(dimensions[axis])]
    sides = [dimensions[axis].dim_value for axis in (1, 2, 3) if axis not in axes]
    batch = dimensions[0].dim_value
    if len(axes) != 1 or batch not in {0, 1} or len(set(sides)) > 1 or not 0 <= sides[0] <= _MAX_SIZE:
        raise BackboneError(
            f"{path} takes an input of shape {_shape_text(photos[0])}, but square photos in RGB of up to {_MAX_SIZE:,} "
            "pixels are needed, one or any number of them: [N, 3, size, size] or [N, size, size, 3]. Export it with "
            "such an input."
        )
    return PhotoInput(photos[0].name, axes[0], sides[0] or None, _stated_scaling(path, model, photos[0].name, kind))


def _is_channels(dimension: Any) -> bool:
    named = dimension.denotation == "DATA_CHANNEL" or "channel" in dimension.dim_param.lower()
    return dimension.dim_value == 3 or (not dimension.dim_value and named)


def _shape_text(value: Any) -> str:
    dimensions = value.type.tensor_type.shape.dim
    return f"[{', '.join(str(each.dim_value or each.dim_param or '?') for each in dimensions)}]"


def _stated_scaling(path: Path, model: Any, name: str, kind: str) -> str:
    """Return the scaling in the metadata of the ONNX specification; bytes, and a graph that scales, need none."""
    stated = {each.key: each.value for each in model.metadata_props}
    if stated.get(_PIXELS, "Rgb8") != "Rgb8":
        raise BackboneError(f"{path} takes pixels as {stated[_PIXELS]!a}, and photos are Rgb8. Export it for those.")
    if kind == "UINT8":
        return "raw"
    if _RANGE in stated:
        return _RANGES.get(stated[_RANGE], "")
    return "raw" if _scales_pixels(model, name) else ""


def _scales_pixels(model: Any, name: str) -> bool:
    """Tell whether the first operators scale pixels from 0 to 255 to the small numbers that networks take."""
    nodes, constants = model.graph.node, {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes:
        values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
        if node.op_type == "Constant" and node.output and values:
            constants[node.output[0]] = values[0]
    ends, scales = [np.zeros(1), np.full(1, 255.0)], False
    for _ in range(_MAX_STEPS):
        readers = [node for node in nodes if name in node.input and node.output]
        if len(readers) != 1:
            break
        (node,) = readers
        others = [constants[other] for other in node.input if other in constants]
        if node.op_type in _ARITHMETIC and len(others) == 1 and math.prod(others[0].dims) in {1, 3}:
            ends, scales = [_apply(node, name, end, others[0]) for end in ends], True
        elif node.op_type not in {"Cast", "Identity", "Transpose"}:
            break
        name = node.output[0]
    return scales and all(np.abs(end).max() < _LARGEST_SCALED for end in ends)


def _apply(node: Any, name: str, values: Any, constant: Any) -> Any:
    number = numpy_helper.to_array(constant).astype(float).ravel()
    pair = (values, number) if node.input[0] == name else (number, values)
    with np.errstate(all="ignore"):
        return _ARITHMETIC[node.op_type](*pair)
