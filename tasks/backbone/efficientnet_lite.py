"""EfficientNet-Lite 0, 1 and 2 as Keras models, with the published ImageNet weights.

The architecture is EfficientNet's (Tan & Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation,
with ReLU6 in place of swish, and with stem and head of a fixed width, as
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite has it. The weights are PyTorch files
that were converted from TensorFlow's checkpoints, hence TensorFlow's 'same' padding and epsilon.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Backbone
from tasks.backbone.kinds.efficientnet_lite import (
    BATCH_NORM_EPSILON,
    BOTTLENECK_WIDTH,
    STEM_WIDTH,
    LiteBlock,
    lite_blocks,
    torch_names,
)
from tasks.backbone.layers import layer_averages
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.torch_weights import read_torch_weights
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import keras

layers = keras.layers

CLASSES = 1000


def build(variant: int, size: int | None = None) -> keras.Model:
    """Build EfficientNet-Lite 0, 1 or 2 with untrained weights; a size of None leaves height and width open.

    Returns:
        A model from pixels, float32 [N, size, size, 3] scaled to about [-1, 1], to two outputs: the bottleneck, float32
        [N, 1280] (not negative), and the ImageNet class scores before softmax, float32 [N, 1000].
    """
    pixels = keras.Input((size, size, 3), name="pixels")
    x = _activate(_convolve(pixels, "stem", STEM_WIDTH, kernel=3, stride=2), "stem")
    for number, block in enumerate(lite_blocks(variant)):
        x = _block(x, f"block{number}", block)
    x = _activate(_convolve(x, "head", BOTTLENECK_WIDTH, kernel=1), "head")
    bottleneck = layers.GlobalAveragePooling2D(name="bottleneck")(x)
    scores = layers.Dense(CLASSES, name="classes")(bottleneck)
    return keras.Model(pixels, [bottleneck, scores], name=f"efficientnet_lite{variant}")


def build_layers(backbone: Backbone, weights: Path | None) -> keras.Model:
    """Build the model from pixels to the averages of its layers; see `TrainableKind.build_layers`.

    The weights are a PyTorch file; those of None are random.
    """
    model = build(int(backbone.model), backbone.size)
    if weights is not None:
        load_weights(model, read_torch_weights(weights))
    activations = [model.get_layer(name).output for name in backbone.layers]
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    network = keras.Model(model.input, activations, name=model.name)
    return layer_averages(pixels, SCALINGS[backbone.scaling].apply(pixels), network)


def _block(x: Any, name: str, block: LiteBlock) -> Any:
    """An inverted residual block: widen, filter each channel, narrow, and add the input where shapes allow."""
    width = x.shape[-1]
    y = x
    if block.expand != 1:
        y = _activate(_convolve(y, f"{name}_expand", width * block.expand, kernel=1), f"{name}_expand")
    y = layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(y)
    y = _activate(_normalise(y, f"{name}_depthwise"), f"{name}_depthwise")
    y = _convolve(y, f"{name}_project", block.width, kernel=1)
    return layers.Add(name=f"{name}_add")([y, x]) if block.stride == 1 and width == block.width else y


def _convolve(x: Any, name: str, width: int, *, kernel: int, stride: int = 1) -> Any:
    x = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _normalise(x, name)


def _activate(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _normalise(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_norm")(x)


def load_weights(model: keras.Model, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Load the tensors of a PyTorch file of the same variant, by torch's names, into a model of `build`, in place.

    Raises:
        BackboneError: A tensor is missing or has another shape: the file belongs to another network.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        names = torch_names(layer.name)
        try:
            values = [_to_keras(tensors[name], layer) for name in names]
            layer.set_weights(values)
        except (KeyError, ValueError) as exc:
            raise BackboneError(
                f"The weights do not fit {model.name}: layer {layer.name} ({', '.join(names)}) is missing or has "
                "another shape. Give the file of that very network."
            ) from exc


def _to_keras(tensor: npt.NDArray[Any], layer: Any) -> npt.NDArray[Any]:
    """Reorder axes: convolution OIHW -> HWIO, depthwise [C, 1, H, W] -> [H, W, C, 1], dense [out, in] -> [in, out]."""
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))
    return np.asarray(tensor).T
