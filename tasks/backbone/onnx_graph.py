"""A user's ONNX file as OpenVINO's graph, from pixels to the averages of its layers."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tasks.backbone.backbones import Backbone
from tasks.backbone.onnx_checks import read_onnx
from tasks.backbone.onnx_input import PhotoInput, photo_input
from tasks.backbone.scaling import SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.openvino_import import ops, ov

#: Numbers of tokens before those of the patches: none, a class token, one for distillation, too, or four registers.
_EXTRA_TOKENS = {0, 1, 2, 5}
_MAX_LISTED = 8
#: Beginnings of lines of OpenVINO's errors that tell a user nothing.
_NOISE = ("Check ", "Exception from", "FrontEnd API", "Summary", "To facilitate")
_MAX_REASON = 400


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
        MemoryError: The network does not fit into the memory.
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


def _build_averages(backbone: Backbone, path: Path) -> tuple[list[Any], Any]:
    """Build the average of each layer, float32 [1, D], from a parameter of pixels, uint8 [1, size, size, 3]."""
    model = read_onnx(path)
    photos = photo_input(path, model)
    data = model.SerializeToString()
    del model  # a network can have gigabytes, and there are three copies at least
    try:
        network = ov.Core().read_model(data, b"")
        del data
        side = backbone.size
        shape = [1, 3, side, side] if photos.channels == 1 else [1, side, side, 3]
        network.reshape({photos.name: shape})
        network = _take_pixels(network, photos, backbone.scaling)
        tensors = [_find(network, layer, path) for layer in backbone.layers]
        pixels = network.input(photos.name).get_node()
        for tensor in tensors:
            _check_inputs(tensor, pixels, path)
        averages = [_average(tensor, path) for tensor in tensors]
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
    listed = ", ".join(sorted(map(_name, outputs))[:_MAX_LISTED])
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


def _check_inputs(tensor: Any, pixels: Any, path: Path) -> None:
    """Check that a tensor depends on the pixels, and on no other input."""
    seen: set[str] = set()
    inputs: set[str] = set()
    waiting = [tensor.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_name() not in seen:
            seen.add(node.get_name())
            waiting += [value.get_node() for value in node.input_values()]
            if node.get_type_name() == "Parameter":
                inputs.add(node.get_friendly_name())
    if inputs != {pixels.get_friendly_name()}:
        raise BackboneError(
            f"{path} computes {_name(tensor)} from {', '.join(sorted(inputs)) or 'nothing'}, and photos alone can be "
            "given. Name another --bottleneck-tensor."
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
    if len(shape) == 3 and (extra := shape[1] - math.isqrt(shape[1]) ** 2) in _EXTRA_TOKENS:
        patches = ops.reduce_mean(_tokens(values, extra, shape[1]), np.array([1]), keep_dims=False)
        return ops.concat([ops.squeeze(_tokens(values, 0, 1), np.array([1])), patches], 1) if extra else patches
    raise _no_vector(output, path)


def _tokens(values: Any, start: int, stop: int) -> Any:
    return ops.slice(values, *(np.array([number]) for number in (start, stop, 1, 1)))


def _no_vector(output: Any, path: Path) -> BackboneError:
    kind = output.element_type.get_type_name()
    return BackboneError(
        f"{path} gives {kind} of shape {output.partial_shape} at {_name(output)}, where a vector, a square feature map "
        "or tokens of one photo are needed. Name another --bottleneck-tensor."
    )


def _name(tensor: Any) -> str:
    return min(tensor.get_names(), default="its output")


def _cannot_compute(path: Path, exc: Exception) -> Exception:
    if "bad_alloc" in str(exc):
        return MemoryError(str(exc))
    lines = (line.strip(" .:") for line in str(exc).splitlines())
    reason = "; ".join(line for line in lines if line and not line.startswith(_NOISE))
    return BackboneError(
        f"OpenVINO cannot compute {path} ({reason[:_MAX_REASON]}). Give another --image-size or --bottleneck-tensor, "
        "or export it again."
    )
