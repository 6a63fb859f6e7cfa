"""EfficientNet-Lite 0, 1 and 2 as Keras models, with the published ImageNet weights.

The architecture is EfficientNet's (Tan & Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation,
with ReLU6 in place of swish, and with stem and head left at their width, as
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite has it. The weights come as PyTorch
files that were converted from TensorFlow's checkpoints, hence TensorFlow's 'same' padding and epsilon.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.errors import BackboneError
from tasks.quiet_tensorflow import keras

layers = keras.layers

BATCH_NORM_EPSILON = 1e-3
STEM_WIDTH = 32
BOTTLENECK_WIDTH = 1280
CLASSES = 1000


class _Stage(NamedTuple):
    """A row of EfficientNet-B0's table: blocks alike but for the first one's stride and input width."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
#: variant: (width multiplier, depth multiplier)
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}


def scaled_width(width: int, multiplier: float) -> int:
    """Scale a width to a multiple of 8 that is never more than 10 % below the exact product."""
    exact = width * multiplier
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def build(variant: int, size: int | None = None) -> keras.Model:
    """Build EfficientNet-Lite with untrained weights.

    Args:
        variant: 0, 1 or 2.
        size: Height and width of the input in pixels; None leaves both open.

    Returns:
        A model from pixels, float32 [N, size, size, 3] scaled to about [-1, 1], to two outputs: the bottleneck, float32
        [N, 1280] (not negative), and the ImageNet class scores before softmax, float32 [N, 1000].
    """
    width_multiplier, depth_multiplier = SCALES[variant]
    pixels = keras.Input((size, size, 3), name="pixels")
    x = _activate(_convolve(pixels, "stem", STEM_WIDTH, kernel=3, stride=2), "stem")
    block = 0
    for index, stage in enumerate(STAGES):
        fixed = index in (0, len(STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * depth_multiplier)
        for repeat in range(repeats):
            width = scaled_width(stage.width, width_multiplier)
            x = _block(x, f"block{block}", stage._replace(width=width, stride=stage.stride if repeat == 0 else 1))
            block += 1
    x = _activate(_convolve(x, "head", BOTTLENECK_WIDTH, kernel=1), "head")
    bottleneck = layers.GlobalAveragePooling2D(name="bottleneck")(x)
    scores = layers.Dense(CLASSES, name="classes")(bottleneck)
    return keras.Model(pixels, [bottleneck, scores], name=f"efficientnet_lite{variant}")


def _block(x: Any, name: str, stage: _Stage) -> Any:
    """An inverted residual block: widen, filter each channel, narrow, and add the input where shapes allow."""
    width = x.shape[-1]
    y = x
    if stage.expand != 1:
        y = _activate(_convolve(y, f"{name}_expand", width * stage.expand, kernel=1), f"{name}_expand")
    y = layers.DepthwiseConv2D(
        stage.kernel, stage.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(y)
    y = _activate(_normalise(y, f"{name}_depthwise"), f"{name}_depthwise")
    y = _convolve(y, f"{name}_project", stage.width, kernel=1)
    return layers.Add(name=f"{name}_add")([y, x]) if stage.stride == 1 and width == stage.width else y


def _convolve(x: Any, name: str, width: int, *, kernel: int, stride: int = 1) -> Any:
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalise(x, name)


def _activate(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _normalise(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_norm")(x)


def load_weights(model: keras.Model, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put PyTorch's tensors into a model of `build`.

    Args:
        model: The model, changed in place.
        tensors: The state dict of the same variant, by torch's names.

    Raises:
        BackboneError: A tensor is missing or has another shape: the file belongs to another network.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        names = _torch_names(layer.name)
        try:
            values = [_to_keras(tensors[name], layer) for name in names]
            layer.set_weights(values)
        except (KeyError, ValueError) as exc:
            raise BackboneError(
                f"The weights do not fit {model.name}: layer {layer.name} ({', '.join(names)}) is missing or has "
                "another shape. Give the file of that very network."
            ) from exc


def _torch_names(layer: str) -> list[str]:
    """Names of the tensors behind one Keras layer, in the order of its weights."""
    if layer == "classes":
        return ["_fc.weight", "_fc.bias"]
    part, kind = layer.rsplit("_", 1)
    block, _, role = part.partition("_")
    prefix = f"_blocks.{block.removeprefix('block')}." if role else ""
    if kind == "conv":
        return [f"{prefix}_{role}_conv.weight" if role else f"_conv_{block}.weight"]
    norm = {"stem": 0, "head": 1, "expand": 0, "depthwise": 1, "project": 2}[role or block]
    return [f"{prefix}_bn{norm}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


def _to_keras(tensor: npt.NDArray[Any], layer: Any) -> npt.NDArray[Any]:
    """Reorder axes: convolution OIHW -> HWIO, depthwise [C, 1, H, W] -> [H, W, C, 1], dense [out, in] -> [in, out]."""
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))
    return np.asarray(tensor).T
