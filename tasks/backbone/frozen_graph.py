"""A frozen graph of any age as a network for batches of any size.

The classic one is Inception-v3 of 2015. Today's TensorFlow does not run it inside a function: its batch norms are of a
removed op, and it takes one photo at a time. So it is rewritten first, which leaves a newer graph unchanged.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from tasks.backbone.legacy_batch_norm import fold_batch_norms
from tasks.backbone.model_file_errors import first_line
from tasks.backbone.op_allowlist import check_ops, harmful_ops
from tasks.backbone.subgraph import Nodes, cut, leading_to, operation_of, tensor_of
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import tf

#: Ops of a graph that give no bottleneck.
_NOT_COMPUTED = {"Const", "Identity", "NoOp", "Placeholder"}
_MAX_LISTED = 8


def read_graph(path: Path) -> tf.compat.v1.GraphDef:
    """Read a frozen graph: a GraphDef in protobuf's binary form, usually called `.pb`.

    Raises:
        BackboneError: The file cannot be read, or is no frozen graph.
    """
    remedy = "Give the .pb file of a frozen graph; of a SavedModel, give the folder that holds it."
    try:
        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    except OSError as exc:
        raise BackboneError(f"The graph {path} cannot be read ({exc.strerror or exc}). {remedy}") from exc
    except DecodeError as exc:
        raise BackboneError(f"{path} is no frozen graph, or is damaged ({first_line(exc)}). {remedy}") from exc
    if not graph.node:
        raise BackboneError(f"{path} is no frozen graph: it holds no nodes. {remedy}")
    return graph


def modernise(graph: tf.compat.v1.GraphDef, input_tensor: str, *bottleneck_tensors: str) -> tf.compat.v1.GraphDef:
    """Cut the network out of a frozen graph, and rewrite ops that today's TensorFlow does not run, or not in batches.

    Legacy batch norms are folded into the convolutions before them, checks and control dependencies are dropped, and a
    Reshape to a constant shape of one photo keeps its batch.

    Returns:
        A new graph, with a float32 placeholder as the operation of the input.

    Raises:
        BackboneError: There is no such tensor, the bottleneck does not depend on the input alone, or the network needs
            an op that TensorFlow does not have.
    """
    network = cut(graph, input_tensor, *bottleneck_tensors)
    fold_batch_norms(network, *bottleneck_tensors)
    _free_batch(network)
    # Again, to drop the unscaled filters.
    network = cut(network, input_tensor, *bottleneck_tensors)
    _check_ops(network)
    network.versions.Clear()
    network.versions.producer = tf.version.GRAPH_DEF_VERSION
    return network


def frozen_network(
    path: Path, input_tensor: str, *bottleneck_tensors: str
) -> Callable[[tf.Tensor], tuple[tf.Tensor, ...]]:
    """Load a frozen graph, from `Mul:0` to `pool_3:0` for example, as a function for inside a `tf.function`.

    Returns:
        A function from pixels, float32 [N, size, size, 3], scaled as the graph wants them at that tensor, to float32
        [N, D] of each part; see `_average`. It raises `BackboneError` where the graph does not take such pixels, or
        does not give a vector for each of them.

    Raises:
        BackboneError: The file is no frozen graph, or holds no network that runs between the tensors.
    """
    graph = read_graph(path)
    try:
        network = modernise(graph, input_tensor, *bottleneck_tensors)
    except BackboneError as exc:
        raise BackboneError(f"{path}: {exc}") from exc
    check_ops(path, network.node, network.library)
    # The pixels replace it below. OpenVINO takes a placeholder that nothing reads for another input.
    (place,) = (place for place, node in enumerate(network.node) if node.name == operation_of(input_tensor))
    del network.node[place]

    def averages(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        try:
            inputs, outputs = {tensor_of(input_tensor): pixels}, [tensor_of(tensor) for tensor in bottleneck_tensors]
            results = tf.import_graph_def(network, inputs, outputs, name="frozen")
        except (ValueError, tf.errors.OpError) as exc:
            raise BackboneError(
                f"{path}: {input_tensor} does not take float32 pixels {pixels.shape} ({first_line(exc)}). Give the "
                "size that the graph was made for with --image-size, or another tensor with --input-tensor."
            ) from exc
        named = zip(bottleneck_tensors, results, strict=True)
        return tuple(_average(result, pixels, f"{path}: {tensor}") for tensor, result in named)

    return averages


def input_size(path: Path, input_tensor: str) -> int | None:
    """Read the height and width of a graph's input in pixels; None if they are open, or not the same.

    Raises:
        BackboneError: The file is no frozen graph, or has no such tensor.
    """
    graph = read_graph(path)
    try:
        source = leading_to(graph, input_tensor)
    except BackboneError as exc:
        raise BackboneError(f"{path}: {exc}") from exc
    # Such an op before the pixels is cut off later, and does no harm there. But to import it can be to run it.
    if harmful_ops(path, source.node, source.library):
        return None
    with tf.Graph().as_default():
        try:
            (pixels,) = tf.import_graph_def(source, return_elements=[tensor_of(input_tensor)])
        except (ValueError, tf.errors.OpError):
            return None
    square = pixels.shape.rank == 4 and pixels.shape[1] is not None and pixels.shape[1] == pixels.shape[2]
    return int(pixels.shape[1]) if square else None


def check_tensors_named(path: Path, input_tensor: str, bottleneck_tensor: str) -> None:
    """Check that the user names both tensors of a graph; an error lists those that it has.

    Raises:
        SettingError: One is missing.
        BackboneError: The file is no frozen graph.
    """
    if input_tensor and bottleneck_tensor:
        return
    nodes = read_graph(path).node
    inputs = [f"{node.name}:0" for node in nodes if node.op == "Placeholder"]
    outputs = [f"{node.name}:0" for node in nodes if node.op not in _NOT_COMPUTED]
    raise SettingError(
        f"The frozen graph {path} needs --input-tensor, where scaled pixels go in, and --bottleneck-tensor. Its "
        f"placeholders: {', '.join(inputs[:_MAX_LISTED]) or 'none'}; its last tensors: "
        f"{', '.join(outputs[-_MAX_LISTED:]) or 'none'}."
    )


def _free_batch(network: tf.compat.v1.GraphDef) -> None:
    """Let each Reshape to a constant shape [1, ...] keep its batch: its first size becomes -1.

    For one photo this changes nothing. For N photos, in a graph for one, a tensor has N times as many elements as that
    shape, and -1 is N; a tensor that does not depend on the photos has as many, and -1 is 1.
    """
    nodes = Nodes(network)
    for reshape in nodes.of("Reshape"):
        shape = nodes.constant(reshape.input[1])
        if shape is not None and shape.ndim == 1 and len(shape) and shape[0] == 1 and (shape > 0).all():
            free = np.concatenate([np.array([-1], shape.dtype), shape[1:]])
            reshape.input[1] = nodes.add_constant(f"{reshape.name}/free_shape", free)


def _check_ops(network: tf.compat.v1.GraphDef) -> None:
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in network.library.function}
    lacking = {}
    for node in network.node:
        definition = op_def_registry.get(node.op)
        if node.op not in functions and (definition is None or definition.HasField("deprecation")):
            lacking[node.op] = node.name
    if lacking:
        ops = ", ".join(f"{op} ({name})" for op, name in sorted(lacking.items()))
        raise BackboneError(
            f"The graph needs ops that TensorFlow {tf.__version__} does not have: {ops}. Give tensors between which "
            "there are none with --input-tensor and --bottleneck-tensor, or convert the network to a SavedModel."
        )


def _average(result: tf.Tensor, pixels: tf.Tensor, name: str) -> tf.Tensor:
    """Turn a result of the graph into vectors, float32 [N, D].

    A feature map, float [N, H, W, D], is averaged over height and width. Other shapes are flattened, such as
    [N, 1, 1, D] or [N, D, 1, 1].
    """
    shape = result.shape
    if not (result.dtype.is_floating and shape.rank and shape[1:].is_fully_defined()):
        raise BackboneError(
            f"{name} is {result.dtype.name} {shape}, and no vector of fixed length. Give another --bottleneck-tensor."
        )
    if shape[0] not in {None, pixels.shape[0]}:
        raise BackboneError(
            f"{name} is {shape} for {pixels.shape[0]} photos: the graph is made for another batch. Give a tensor that "
            "comes before its batch is fixed with --bottleneck-tensor."
        )
    if shape.rank == 4 and shape[1:].num_elements() > max(shape[1:]):
        result = tf.reduce_mean(result, (1, 2))
    return tf.cast(tf.reshape(result, (-1, result.shape[1:].num_elements())), tf.float32)
