"""Cuts a network out of a frozen graph: the nodes between tensors."""

from collections.abc import Mapping
from difflib import get_close_matches

from tasks.backbone.graph_nodes import become, operation_of, tensor_of
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
_REMEDY = "Give the tensors between which the network lies with --input-tensor and --bottleneck-tensor."


def cut(graph: tf.compat.v1.GraphDef, input_tensor: str, *bottleneck_tensors: str) -> tf.compat.v1.GraphDef:
    """Cut out the nodes between a tensor and others.

    Args:
        graph: The graph, which is not changed.
        input_tensor: Tensor that takes the pixels, the first output of an operation.
        bottleneck_tensors: Tensors that give the parts of the bottleneck.

    Returns:
        These nodes, simplified by `_plain`; the operation of the input is a float32 placeholder.

    Raises:
        BackboneError: There is no such tensor, or the bottleneck does not depend on the input alone.
    """
    nodes = {node.name: node for node in graph.node}
    start = _find(nodes, input_tensor)
    if tensor_of(input_tensor) != f"{start}:0":
        raise BackboneError(f"Pixels go into the first output of an operation, not into {input_tensor}. {_REMEDY}")
    needed: dict[str, str] = {}
    for tensor in bottleneck_tensors:
        end = _find(nodes, tensor)
        of_tensor = _needed(nodes, end, start)
        if start not in of_tensor or start == end:
            raise BackboneError(f"The tensor {tensor} does not depend on {input_tensor}. {_REMEDY}")
        needed |= dict.fromkeys(of_tensor, tensor)
    network = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    for node in graph.node:
        if node.name == start:
            pixels = network.node.add(name=start, op="Placeholder")
            pixels.attr["dtype"].type = tf.float32.as_datatype_enum
        elif node.name in needed:
            _refuse_foreign(node, needed[node.name])
            network.node.append(_plain(node))
    return network


def leading_to(graph: tf.compat.v1.GraphDef, tensor: str) -> tf.compat.v1.GraphDef:
    """Cut out the nodes that a tensor is computed from, its own operation included.

    Raises:
        BackboneError: There is no such tensor.
    """
    nodes = {node.name: node for node in graph.node}
    needed = _needed(nodes, _find(nodes, tensor))
    found = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library)
    found.node.extend(_plain(node) for node in graph.node if node.name in needed)
    return found


def _needed(nodes: Mapping[str, tf.compat.v1.NodeDef], end: str, start: str = "") -> set[str]:
    """Name the nodes whose values `end` needs, itself included, but not those that only `start` needs."""
    needed, waiting = {end}, [end]
    while waiting:
        name = waiting.pop()
        if name == start:
            continue
        for source in map(operation_of, _data_inputs(nodes[name])):
            if source not in nodes:
                raise BackboneError(
                    f"The graph is damaged: {name} needs {source}, which is not in it. Get the file again."
                )
            if source not in needed:
                needed.add(source)
                waiting.append(source)
    return needed


def _data_inputs(node: tf.compat.v1.NodeDef) -> list[str]:
    """Return a node's inputs without control dependencies, which only order the nodes."""
    return [source for source in node.input if not source.startswith("^")]


def _plain(node: tf.compat.v1.NodeDef) -> tf.compat.v1.NodeDef:
    """Copy a node without control dependencies, checks, devices and recorded shapes (attributes in `_`).

    A check between a convolution and its ReLU keeps TensorFlow from fusing the two; so it becomes an Identity, which
    TensorFlow removes.
    """
    plain = tf.compat.v1.NodeDef(name=node.name, op=node.op, input=_data_inputs(node))
    for key, value in node.attr.items():
        if not key.startswith("_"):
            plain.attr[key].CopyFrom(value)
    if node.op == "CheckNumerics":
        become(plain, "Identity", *plain.input)
    return plain


def _find(nodes: Mapping[str, tf.compat.v1.NodeDef], tensor: str) -> str:
    """Return the name of a tensor's operation, if the graph has it."""
    name = operation_of(tensor)
    if name in nodes:
        return name
    near = ", ".join(tensor_of(match) for match in get_close_matches(name, nodes, n=5))
    raise BackboneError(f"The graph has no tensor {tensor!r}{f'; similar names are {near}' if near else ''}. {_REMEDY}")


def _refuse_foreign(node: tf.compat.v1.NodeDef, bottleneck_tensor: str) -> None:
    """Refuse a node that needs to be fed or restored besides the pixels."""
    if node.op in _VARIABLES:
        raise BackboneError(
            f"The graph is not frozen: {node.name} is a variable. Freeze it, so that its variables are constants, or "
            "give a SavedModel."
        )
    if node.op == "Placeholder":
        raise BackboneError(f"The tensor {bottleneck_tensor} also needs {node.name}:0, which nothing feeds. {_REMEDY}")
