"""Fold what scales and shifts a convolution's channels into its filter and a BiasAdd.

Keras computes a batch-norm that no longer learns as x * scale + offset, both made of constants. TensorFlow itself folds
such a product into the filter of a convolution, but not of a depthwise one, and the sum into neither; only with the sum
as a BiasAdd does it compute convolution, sum and ReLU in one go.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tasks.backbone.graph_nodes import Nodes, Value, become, operation_of, tensor_of
from tasks.quiet_tensorflow import tf

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_FOLDED = ("Mul", "AddV2")


def fold_channels(graph: tf.compat.v1.GraphDef, result: str) -> None:
    """Fold products and sums with constants into the convolutions before them, in place.

    What is no longer needed stays in the graph, unused. A convolution that something else reads too, or whose filter is
    computed, stays as it is.

    Args:
        graph: A frozen graph without control dependencies, each node after those that it reads.
        result: The tensor that is read from it.
    """
    folding = _Folding(graph, result)
    # Until nothing is left: a sum that has become a BiasAdd no longer stands between a convolution and a product.
    while sum(map(folding.fold, folding.candidates())):
        pass


def scale_filter(nodes: Nodes, convolution: tf.compat.v1.NodeDef, scale: Value) -> bool:
    """Scale a convolution's outputs, [C], by scaling its filter; returns whether that can be done."""
    channels = _channels(nodes, convolution)
    filters = nodes.constant(convolution.input[1]) if channels else None
    if filters is None:
        return False
    scaled = filters * scale.reshape(channels)
    convolution.input[1] = nodes.add_constant(f"{convolution.name}/scaled_filter", scaled)
    return True


def _channels(nodes: Nodes, node: tf.compat.v1.NodeDef) -> tuple[int, ...]:
    """Shape of a convolution's channels: a filter's last axis, and of a depthwise one its last two, [C, multiplier].

    Empty where the node is no convolution, has its channels elsewhere, or its filter is computed.
    """
    if node.op not in _CONVOLUTIONS or node.attr["data_format"].s not in {b"", b"NHWC"}:
        return ()
    filters = nodes.constant(node.input[1])
    if filters is None:
        return ()
    return filters.shape[2:] if node.op == "DepthwiseConv2dNative" else filters.shape[3:]


class _Convolved(NamedTuple):
    """A tensor that comes out of a convolution, past a BiasAdd where there is one."""

    convolution: tf.compat.v1.NodeDef
    bias: tf.compat.v1.NodeDef | None


class _Folding:
    """Folds nodes one by one, and remembers who reads whom and which operands are constants."""

    def __init__(self, graph: tf.compat.v1.GraphDef, result: str) -> None:
        self._nodes = Nodes(graph)
        self._readers = Counter(operation_of(source) for node in graph.node for source in node.input)
        self._readers[operation_of(result)] += 1
        self._constants = _constants(graph)

    def candidates(self) -> list[tf.compat.v1.NodeDef]:
        """The products and sums that are left."""
        return [node for op in _FOLDED for node in self._nodes.of(op)]

    def fold(self, node: tf.compat.v1.NodeDef) -> bool:
        """Fold a product or a sum of something convolved and a constant; returns whether it is one."""
        for tensor, other in (tuple(node.input), tuple(reversed(node.input))):
            value, convolved = self._constants.get(other), self._convolved(tensor)
            if value is not None and convolved is not None:
                channels = math.prod(_channels(self._nodes, convolved.convolution))
                # A number for each channel, or one for all.
                if value.size in {1, channels} and (not value.ndim or value.shape[-1] == value.size):
                    return self._fold(node, tensor, convolved, np.broadcast_to(value.reshape(-1), channels))
        return False

    def _convolved(self, tensor: str) -> _Convolved | None:
        """Look back to the convolution, if nothing else reads it or what lies between."""
        node, bias = self._nodes[tensor], None
        while self._readers[node.name] == 1 and (node.op == "Identity" or (node.op == "BiasAdd" and bias is None)):
            bias = node if node.op == "BiasAdd" else bias
            node = self._nodes[node.input[0]]
        alone = self._readers[node.name] == 1 and _channels(self._nodes, node)
        return _Convolved(node, bias) if alone else None

    def _fold(self, node: tf.compat.v1.NodeDef, tensor: str, convolved: _Convolved, each: Value) -> bool:
        """Fold a number for each channel, [C]; returns whether the bias that is there lets it."""
        convolution, bias = convolved
        before = None if bias is None else self._constant(bias.input[1])
        if bias is not None and before is None:
            return False
        if node.op == "Mul":
            scale_filter(self._nodes, convolution, each)
        elif bias is None:
            become(node, "BiasAdd", tensor, self._nodes.add_constant(f"{node.name}/offset", each))
            return True
        if bias is not None and before is not None:
            after = before * each if node.op == "Mul" else before + each
            bias.input[1] = self._nodes.add_constant(f"{bias.name}/folded", after)
        become(node, "Identity", tensor)
        return True

    def _constant(self, tensor: str) -> Value | None:
        return self._constants.get(tensor, self._nodes.constant(tensor))


def _constants(graph: tf.compat.v1.GraphDef) -> Mapping[str, Value]:
    """Compute, all at once, those operands of products, sums and biases that are made of constants alone."""
    fixed: set[str] = set()
    wanted: set[str] = set()
    for node in graph.node:
        operands = {source for source in node.input if operation_of(source) in fixed}
        if node.op == "Const" or (node.input and len(operands) == len(set(node.input))):
            fixed.add(node.name)
        elif node.op in {*_FOLDED, "BiasAdd"}:
            wanted |= operands
    names = sorted(wanted)
    with tf.Graph().as_default() as computed:
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=computed) as session:
            return dict(zip(names, session.run([tensor_of(name) for name in names]), strict=True))
