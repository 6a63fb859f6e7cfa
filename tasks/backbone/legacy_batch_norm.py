"""Folds the batch norms of 2015, an op that TensorFlow removed at GraphDef version 9, into other ops.

BatchNormWithGlobalNormalization is y = (x - mean) / sqrt(variance + epsilon) * gamma + beta for each channel, the last
axis, with gamma only if `scale_after_normalization` (tensorflow/core/kernels/batch_norm_op.h). Of constants, that is
y = x * scale + offset, and a convolution before it can take the scale into its filter.
"""

from collections import Counter

import numpy as np

from tasks.backbone.subgraph import Nodes, Value, become, operation_of
from tasks.runtime.tensorflow_import import tf

LEGACY_BATCH_NORM = "BatchNormWithGlobalNormalization"
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def fold_batch_norms(graph: tf.compat.v1.GraphDef, *bottleneck_tensors: str) -> None:
    """Replace the legacy batch norms of a graph, in place.

    After a convolution with a constant filter that nothing else reads, a batch norm becomes a BiasAdd, and the filter
    is scaled. Any other becomes a Mul and an Add. Nodes that are no longer needed stay in the graph, and so does a
    batch norm whose statistics are not constants. The graph has no control dependencies; its results, the bottleneck
    tensors, count as readers.
    """
    nodes = Nodes(graph)
    readers = Counter(operation_of(source) for node in graph.node for source in node.input)
    readers.update(map(operation_of, bottleneck_tensors))
    for norm in nodes.of(LEGACY_BATCH_NORM):
        constants = _scale_and_offset(nodes, norm)
        if constants is None:
            continue
        scale, offset = constants
        before = nodes[norm.input[0]]
        added = nodes.add_constant(f"{norm.name}/offset", offset)
        if readers[before.name] == 1 and _scale_filter(nodes, before, scale):
            become(norm, "BiasAdd", norm.input[0], added)
            continue
        scaled = nodes.add(f"{norm.name}/scaled", "Mul")
        scaled.attr["T"].CopyFrom(norm.attr["T"])
        scaled.input.extend([norm.input[0], nodes.add_constant(f"{norm.name}/scale", scale)])
        become(norm, "AddV2", scaled.name, added)


def _scale_and_offset(nodes: Nodes, norm: tf.compat.v1.NodeDef) -> tuple[Value, Value] | None:
    """Return the factor and the summand of each channel, both [C] and of the type of beta.

    scale = gamma / sqrt(variance + epsilon) and offset = beta - mean * scale, in double precision.
    """
    values = [value for value in map(nodes.constant, norm.input[1:]) if value is not None]
    if len(values) < 4:
        return None
    mean, variance, beta, gamma = (value.astype(np.float64) for value in values)
    scale = 1 / np.sqrt(variance + norm.attr["variance_epsilon"].f)
    if norm.attr["scale_after_normalization"].b:
        scale *= gamma
    offset = beta - mean * scale
    kind = np.result_type(*values)
    return scale.astype(kind), offset.astype(kind)


def _scale_filter(nodes: Nodes, convolution: tf.compat.v1.NodeDef, scale: Value) -> bool:
    """Scale a convolution's outputs, [C], by scaling its filter; return whether that is possible."""
    is_plain = convolution.op in _CONVOLUTIONS and convolution.attr["data_format"].s in {b"", b"NHWC"}
    filters = nodes.constant(convolution.input[1]) if is_plain else None
    if filters is None:
        return False
    # The channels are a filter's last axis, and of a depthwise one its last two, [C, multiplier].
    channels = filters.shape[2:] if convolution.op == "DepthwiseConv2dNative" else filters.shape[3:]
    scaled = filters * scale.reshape(channels)
    convolution.input[1] = nodes.add_constant(f"{convolution.name}/scaled_filter", scaled)
    return True
