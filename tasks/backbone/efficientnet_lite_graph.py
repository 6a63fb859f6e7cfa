"""EfficientNet-Lite as OpenVINO's operations, so that computing bottlenecks takes no TensorFlow.

It is the network of `tasks.backbone.efficientnet_lite`, with each batch normalisation folded into its convolution.
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
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.torch_weights import read_torch_weights
from tasks.errors import BackboneError
from tasks.runtime.openvino_import import ops, ov, passes

Tensors = Mapping[str, npt.NDArray[Any]]


def build_graph(backbone: Backbone, weights: Path) -> Any:
    """Build the `ov.Model` from pixels, uint8 [1, size, size, 3], to the averages of all layers, float32 [1, D].

    Raises:
        BackboneError: The weights are damaged, or of another network.
    """
    network = _Network(read_torch_weights(weights), backbone.name)
    pixels = ops.parameter((1, backbone.size, backbone.size, 3), np.uint8)
    maps = network.maps(int(backbone.model), _scaled(pixels, backbone.scaling))
    averages = [ops.reduce_mean(maps[layer], np.array([2, 3]), keep_dims=False) for layer in backbone.layers]
    model = ov.Model([ops.concat(averages, 1)], [pixels])
    folding = passes.Manager()
    folding.register_pass(passes.ConstantFolding())
    folding.run_passes(model)
    return model


def _scaled(pixels: Any, scaling: str) -> Any:
    """Scale pixels, uint8 [1, size, size, 3], to float32 [1, 3, size, size] in the range that the network takes.

    The scaling is linear in each channel.
    """
    black, white = (SCALINGS[scaling].apply(np.full(3, value, np.float32)) for value in (0, 255))
    rate = ((white - black) / np.float32(255)).reshape(1, 3, 1, 1)
    x = ops.transpose(ops.convert(pixels, "f32"), np.array([0, 3, 1, 2]))
    return ops.multiply(ops.add(x, black.reshape(1, 3, 1, 1) / rate), rate)


class _Network:
    """Builds layers from the tensors of a PyTorch file; errors tell the name of the network."""

    def __init__(self, tensors: Tensors, name: str) -> None:
        self._tensors, self._name = tensors, name

    def maps(self, variant: int, x: Any) -> dict[str, Any]:
        """Build the network on scaled pixels; returns the feature maps of layers whose averages are bottlenecks."""
        maps = {}
        x = _activate(self._convolve(x, "stem", (STEM_WIDTH, 3, 3, 3), stride=2))
        for number, block in enumerate(lite_blocks(variant)):
            x, maps[f"block{number}_depthwise_relu"] = self._block(x, f"block{number}", block)
        maps["bottleneck"] = _activate(self._convolve(x, "head", (BOTTLENECK_WIDTH, x.shape[1], 1, 1)))
        return maps

    def _block(self, x: Any, name: str, block: LiteBlock) -> tuple[Any, Any]:
        """Build an inverted residual block; returns its output and the activations of its depthwise convolution."""
        width = x.shape[1]
        wide = width * block.expand
        y = x if block.expand == 1 else _activate(self._convolve(x, f"{name}_expand", (wide, width, 1, 1)))
        depthwise = self._convolve(y, f"{name}_depthwise", (wide, 1, block.kernel, block.kernel), stride=block.stride)
        filtered = _activate(depthwise)
        y = self._convolve(filtered, f"{name}_project", (block.width, wide, 1, 1))
        return (ops.add(y, x) if block.stride == 1 and width == block.width else y), filtered

    def _convolve(self, x: Any, name: str, shape: tuple[int, int, int, int], *, stride: int = 1) -> Any:
        """Convolve by a kernel of this shape, [out, in, height, width], and normalise."""
        (kernel,) = self._read(f"{name}_conv", shape)
        gamma, beta, mean, variance = self._read(f"{name}_norm", shape[:1])
        # As operations, which OpenVINO folds to the same bits as those of TensorFlow.
        root = ops.power(ops.add(variance, np.float32(BATCH_NORM_EPSILON)), np.float32(-0.5))
        scale = ops.multiply(root, gamma)
        bias = ops.subtract(beta, ops.multiply(mean, scale))
        places = np.array([-1, 1, 1, 1])
        scaled = ops.multiply(kernel, ops.reshape(scale, places, special_zero=False))
        if shape[1] < x.shape[1]:
            scaled, convolve = ops.unsqueeze(scaled, np.array(1)), ops.group_convolution
        else:
            convolve = ops.convolution
        y = convolve(x, scaled, [stride, stride], [0, 0], [0, 0], [1, 1], auto_pad="same_upper")
        return ops.add(y, ops.reshape(bias, np.array([1, -1, 1, 1]), special_zero=False))

    def _read(self, layer: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Read the tensors of a layer, all of which have this shape, as one array."""
        names = torch_names(layer)
        found = [self._tensors.get(name) for name in names]
        if any(tensor is None or tensor.shape != shape for tensor in found):
            raise BackboneError(
                f"The weights do not fit {self._name}: layer {layer} ({', '.join(names)}) is missing or has another "
                "shape. Give the file of that very network."
            )
        return np.array(found, np.float32)


def _activate(x: Any) -> Any:
    return ops.clamp(x, 0.0, 6.0)
