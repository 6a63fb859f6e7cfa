"""ONNX files: a small network of two convolutions, and EfficientNet-Lite with our weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tasks.backbone.kinds.efficientnet_lite import (
    BATCH_NORM_EPSILON,
    BOTTLENECK_WIDTH,
    STEM_WIDTH,
    LiteBlock,
    lite_blocks,
    torch_names,
)
from tasks.backbone.torch_weights import read_torch_weights

SIZE = 24
Shape = Sequence[int | str]
#: Weights of the small network: of its convolutions, and of a layer of its tokens.
WEIGHTS = {
    "first": np.random.default_rng(1).normal(size=(8, 3, 3, 3), scale=0.3).astype(np.float32),
    "second": np.random.default_rng(2).normal(size=(6, 8, 3, 3), scale=0.3).astype(np.float32),
}
NODES = (
    helper.make_node("Conv", ["pixels", "first"], ["stem"], strides=[2, 2], name="conv"),
    helper.make_node("Relu", ["stem"], ["stem_relu"]),
    helper.make_node("Conv", ["stem_relu", "second"], ["map"], strides=[2, 2]),
    helper.make_node("Relu", ["map"], ["map_relu"]),
    helper.make_node("GlobalAveragePool", ["map_relu"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["features"]),
)


def graph_of(
    nodes: Sequence[Any] = NODES,
    weights: Mapping[str, npt.NDArray[Any]] = WEIGHTS,
    shape: Shape = ("N", 3, SIZE, SIZE),
    outputs: Sequence[str] = ("features",),
    kind: int = TensorProto.FLOAT,
) -> Any:
    """A graph from `pixels` of a shape to outputs of any shape."""
    return helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )


def model_of(graph: Any, opset: int = 17, **fields: Any) -> Any:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9, **fields)


def write(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def small(path: Path, **parts: Any) -> Path:
    """Write the small network."""
    return write(model_of(graph_of(**parts)), path)


def lite(path: Path, weights: Path, variant: int, size: int, layers: Sequence[str]) -> Path:
    """Write EfficientNet-Lite as a file from pixels, float32 [N, 3, size, size], 0 to 255, to maps of its layers.

    Padding is ONNX's own SAME_UPPER, batch norms stay operators of their own, and ReLU6 is a Clip.
    """
    net = _Lite(read_torch_weights(weights))
    net.build(variant)
    return write(model_of(graph_of(net.nodes, net.weights, ("N", 3, size, size), lite_outputs(layers))), path)


def lite_outputs(layers: Sequence[str]) -> list[str]:
    """Names of the outputs of `lite` for layers of EfficientNet-Lite."""
    return ["head_clip" if layer == "bottleneck" else layer.replace("_relu", "_clip") for layer in layers]


class _Lite:
    """Collects the nodes of EfficientNet-Lite and their weights."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self._tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        constants = {"zero": 0, "six": 6, "grey": 127, "scale": 1 / 128}
        self.weights: dict[str, npt.NDArray[Any]] = {name: np.array(x, np.float32) for name, x in constants.items()}

    def build(self, variant: int) -> None:
        x = self._add("Mul", [self._add("Sub", ["pixels", "grey"], "centred"), "scale"], "scaled")
        x = self._convolve(x, "stem", stride=2)
        width = STEM_WIDTH
        for number, block in enumerate(lite_blocks(variant)):
            x = self._block(x, f"block{number}", block, width)
            width = block.width
        self._convolve(x, "head")
        assert self.weights["head_conv"].shape[0] == BOTTLENECK_WIDTH

    def _block(self, x: str, name: str, block: LiteBlock, width: int) -> str:
        y = x if block.expand == 1 else self._convolve(x, f"{name}_expand")
        y = self._convolve(y, f"{name}_depthwise", stride=block.stride, groups=width * block.expand)
        y = self._convolve(y, f"{name}_project", bounded=False)
        return self._add("Add", [y, x], f"{name}_sum") if block.stride == 1 and width == block.width else y

    def _convolve(self, x: str, name: str, *, stride: int = 1, groups: int = 1, bounded: bool = True) -> str:
        (kernel,) = torch_names(f"{name}_conv")
        self.weights[f"{name}_conv"] = self._tensors[kernel]
        norm = torch_names(f"{name}_norm")
        self.weights |= {each: self._tensors[each] for each in norm}
        same = {"strides": [stride, stride], "group": groups, "auto_pad": "SAME_UPPER"}
        y = self._add("Conv", [x, f"{name}_conv"], f"{name}_out", **same)
        y = self._add("BatchNormalization", [y, *norm], f"{name}_normed", epsilon=BATCH_NORM_EPSILON)
        return self._add("Clip", [y, "zero", "six"], f"{name}_clip") if bounded else y

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output
