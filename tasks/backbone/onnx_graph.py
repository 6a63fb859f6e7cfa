"""A user's ONNX file as OpenVINO's graph, from pixels to the averages of its layers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from tasks.backbone.backbones import Backbone
from tasks.backbone.onnx_checks import read_onnx
from tasks.backbone.scaling import SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.openvino_import import ops, ov

#: Scalings by the names that the ONNX specification has for the range of pixels in a model's metadata.
_RANGES = {"NominalRange_0_255": "raw", "Normalized_0_1": "unit", "Normalized_1_1": "symmetric"}
_RANGE, _PIXELS = "Image.NominalPixelRange", "Image.BitmapPixelFormat"
#: Types of the input that a photo is converted to.
_KINDS = {"BFLOAT16", "DOUBLE", "FLOAT", "FLOAT16", "UINT8"}
_MAX_SIZE = 4096
#: Tokens before those of the patches: a class token, and registers or a token for distillation.
_MAX_EXTRA_TOKENS = 8
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
    return _photo_input(path, read_onnx(path)[0])


def build_graph(backbone: Backbone, path: Path) -> Any:
    """Build the `ov.Model` from pixels, uint8 [1, size, size, 3], to the averages of all layers, float32 [1, D].

    Raises:
        SettingError: The layers are not named, or do not exist.
        BackboneError: The file is damaged or refused, or OpenVINO cannot compute it.
    """
    averages, pixels = _build_averages(backbone, path)
    return ov.Model([ops.concat(averages, 1)], [pixels])


def measure_widths(backbone: Backbone, path: Path) -> tuple[int, ...]:
    """Measure the widths of the layers, and run the network on two pictures.

    Raises:
        SettingError: The layers are not named, or do not exist.
        BackboneError: The file is damaged or refused, or OpenVINO cannot compute it.
    """
    averages, pixels = _build_averages(backbone, path)
    noise = np.random.default_rng(0).integers(0, 256, (2, 1, backbone.size, backbone.size, 3), np.uint8)
    try:
        compiled = ov.Core().compile_model(ov.Model(averages, [pixels]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results = [compiled(picture) for picture in noise]
    except RuntimeError as exc:
        raise _cannot_compute(path, exc) from exc
    if not all(np.isfinite(vector).all() for result in results for vector in result.values()):
        raise BackboneError(
            f"{path} gives numbers that are not finite. Name another --bottleneck-tensor, or another --scaling."
        )
    return tuple(node.output(0).shape[1] for node in averages)


def _photo_input(path: Path, model: Any) -> PhotoInput:
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
    return PhotoInput(photos[0].name, axes[0], sides[0] or None, _stated_scaling(path, model, kind))


def _is_channels(dimension: Any) -> bool:
    named = dimension.denotation == "DATA_CHANNEL" or "channel" in dimension.dim_param.lower()
    return dimension.dim_value == 3 or (not dimension.dim_value and named)


def _shape_text(value: Any) -> str:
    dimensions = value.type.tensor_type.shape.dim
    return f"[{', '.join(str(each.dim_value or each.dim_param or '?') for each in dimensions)}]"


def _stated_scaling(path: Path, model: Any, kind: str) -> str:
    """Return the scaling in the metadata of the ONNX specification, or that of bytes."""
    stated = {each.key: each.value for each in model.metadata_props}
    if stated.get(_PIXELS, "Rgb8") != "Rgb8":
        raise BackboneError(f"{path} takes pixels as {stated[_PIXELS]!a}, and photos are Rgb8. Export it for those.")
    return "raw" if kind == "UINT8" else _RANGES.get(stated.get(_RANGE, ""), "")


def _build_averages(backbone: Backbone, path: Path) -> tuple[list[Any], Any]:
    """Build the average of each layer, float32 [1, D], from a parameter of pixels, uint8 [1, size, size, 3]."""
    model, data = read_onnx(path)
    photos = _photo_input(path, model)
    try:
        network = ov.Core().read_model(data, b"")
        side = backbone.size
        shape = [1, 3, side, side] if photos.channels == 1 else [1, side, side, 3]
        network.reshape({photos.name: shape})
        network = _take_pixels(network, photos, backbone.scaling)
        averages = [_average(_find(network, layer, path), path) for layer in backbone.layers]
        pixels = network.input(photos.name).get_node()
        ov.Model(averages, [pixels])  # raises an error where they need another input, too
    except RuntimeError as exc:
        raise _cannot_compute(path, exc) from exc
    return averages, pixels


def _take_pixels(network: Any, photos: PhotoInput, scaling: str) -> Any:
    """Let a network take pixels, uint8 [1, size, size, 3], RGB, 0 to 255. Every scaling is linear in each channel."""
    black, white = (SCALINGS[scaling].apply(np.full(3, value, np.float32)) for value in (0, 255))
    rate = (white - black) / np.float32(255)
    steps = ov.preprocess.PrePostProcessor(network)
    place = steps.input(photos.name)
    place.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    place.model().set_layout(ov.Layout("NCHW" if photos.channels == 1 else "NHWC"))
    scaled = place.preprocess().convert_element_type(ov.Type.f32)
    if scaling == "caffe":
        scaled = scaled.reverse_channels()
    scaled.mean((-black / rate).tolist()).scale((1 / rate).tolist())
    return steps.build()


def _find(network: Any, layer: str, path: Path) -> Any:
    """Find the tensor of a name: an output or an inner one; without a name, the only output."""
    outputs = network.outputs
    listed = ", ".join(sorted(min(output.get_names(), default="") for output in outputs)[:_MAX_LISTED])
    if not layer and len(outputs) == 1:
        return outputs[0].get_node().input_value(0)
    if layer:
        for operation in network.get_ordered_ops():
            for output in operation.outputs():
                if layer in output.get_names() and operation.get_type_name() not in {"Parameter", "Result"}:
                    return output
    raise SettingError(
        f"{path} has {f'no tensor {layer!r}' if layer else 'several outputs'}. Name one with --bottleneck-tensor: the "
        f"outputs {listed}, or any tensor that the graph computes."
    )


def _average(output: Any, path: Path) -> Any:
    """Turn the tensor of a photo into one vector, float32 [1, D].

    A feature map is averaged over height and width, whose axes are those of equal length. Tokens, [1, T, D], are
    averaged over the patches, which are the largest square number of last ones; if there are tokens before them, the
    first one, the class token, is put before the average, and others are left out.
    """
    shape = tuple(output.partial_shape.get_min_shape()) if output.partial_shape.is_static else ()
    if shape[:1] != (1,) or not output.element_type.is_real() or 0 in shape:
        raise _no_vector(output, path)
    values = ops.convert(output, "f32")
    if len(shape) == 2:
        return values
    if len(shape) == 4 and (shape[2] == shape[3] or shape[1] == shape[2]):
        axes = [2, 3] if shape[2] == shape[3] else [1, 2]
        return ops.reduce_mean(values, np.array(axes), keep_dims=False)
    if len(shape) == 3 and (extra := shape[1] - math.isqrt(shape[1]) ** 2) <= _MAX_EXTRA_TOKENS:
        patches = ops.reduce_mean(_tokens(values, extra, shape[1]), np.array([1]), keep_dims=False)
        return ops.concat([ops.squeeze(_tokens(values, 0, 1), np.array([1])), patches], 1) if extra else patches
    raise _no_vector(output, path)


def _tokens(values: Any, start: int, stop: int) -> Any:
    return ops.slice(values, *(np.array([number]) for number in (start, stop, 1, 1)))


def _no_vector(output: Any, path: Path) -> BackboneError:
    return BackboneError(
        f"{path} gives {output.element_type.get_type_name()} of shape {output.partial_shape} at "
        f"{min(output.get_names(), default='its output')}, where a vector, a square feature map or tokens of one photo "
        "are needed. Name another --bottleneck-tensor."
    )


def _cannot_compute(path: Path, exc: Exception) -> BackboneError:
    said: Sequence[str] = [line.strip(" .:") for line in str(exc).splitlines()]
    reason = next((line for line in reversed(said) if line and not line.startswith("Exception from")), "no reason")
    return BackboneError(
        f"OpenVINO cannot compute {path} ({reason}). Give another --image-size or --bottleneck-tensor, or export it "
        "again."
    )
