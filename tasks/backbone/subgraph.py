"""Cuts a network out of a frozen graph: the nodes between tensors. Finds, reads and adds nodes."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy.typing as npt

from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf

Value = npt.NDArray[Any]

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
_REMEDY = "Give the tensors between which the network lies with --input-tensor and --bottleneck-tensor."


def operation_of(tensor: str) -> str:
    """Name the operation that gives a tensor: `pool_3` for `pool_3:0` and for `pool_3`."""
    return tensor.partition(":")[0]


def tensor_of(text: str) -> str:
    """Write a tensor's name in full: `pool_3:0` for `pool_3`."""
    return text if ":" in text else f"{text}:0"


class Nodes:
    """The nodes of a graph without control dependencies, which is changed in place."""

    def __init__(self, graph: tf.compat.v1.GraphDef) -> None:
        self._graph = graph
        self._named = {node.name: node for node in graph.node}

    def __getitem__(self, tensor: str) -> tf.compat.v1.NodeDef:
        return self._named[operation_of(tensor)]

    def of(self, op: str) -> list[tf.compat.v1.NodeDef]:
        """List the nodes of an op."""
        return [node for node in self._graph.node if node.op == op]

    def constant(self, tensor: str) -> Value | None:
        """Return the value of a tensor that is a constant, also behind Identity; None of any other."""
        node = self[tensor]
        while node.op == "Identity":
            node = self[node.input[0]]
        return tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None

    def add(self, name: str, op: str) -> tf.compat.v1.NodeDef:
        """Add a node of this name, with `_` appended while the name is taken."""
        while name in self._named:
            name += "_"
        self._named[name] = self._graph.node.add(name=name, op=op)
        return self._named[name]

    def add_constant(self, name: str, value: Value) -> str:
        """Add a constant, and return its name."""
        node = self.add(name, "Const")
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        return str(node.name)


def become(node: tf.compat.v1.NodeDef, op: str, *inputs: str) -> None:
    """Replace a node's op and inputs; its name and its type `T` stay."""
    name, kind = node.name, node.attr["T"].type
    node.Clear()
    node.name, node.op = name, op
    node.input.extend(inputs)
    node.attr["T"].type = kind


def cut(graph: tf.compat.v1.GraphDef, input_tensor: str, *bottleneck_tensors: str) -> tf.compat.v1.GraphDef:
    """Copy the nodes between the tensor that takes the pixels and those that give the parts of the bottleneck.

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
    """Copy the nodes that a tensor is computed from, its own operation included.

    Raises:
        BackboneError: There is no such tensor.
    """
    nodes = {node.name: node for node in graph.node}
    needed = _needed(nodes, _find(nodes, tensor))
    found = [_plain(node) for node in graph.node if node.name in needed]
    return tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library, node=found)


def _find(nodes: Mapping[str, tf.compat.v1.NodeDef], tensor: str) -> str:
    name = operation_of(tensor)
    if name in nodes:
        return name
    near = ", ".join(tensor_of(match) for match in get_close_matches(name, nodes, n=5))
    raise BackboneError(f"The graph has no tensor {tensor!r}{f'; similar names are {near}' if near else ''}. {_REMEDY}")


def _needed(nodes: Mapping[str, tf.compat.v1.NodeDef], end: str, start: str = "") -> set[str]:
    """Name the nodes whose values `end` needs, itself included, but not those that only `start` needs."""
    needed, waiting = {end}, [end]
    while waiting:
        name = waiting.pop()
        for source in map(operation_of, _data_inputs(nodes[name]) if name != start else ()):
            if source not in nodes:
                raise BackboneError(
                    f"The graph is damaged: {name} needs {source}, which is not in it. Get the file again."
                )
            if source not in needed:
                needed.add(source)
                waiting.append(source)
    return needed


def _data_inputs(node: tf.compat.v1.NodeDef) -> list[str]:
    return [source for source in node.input if not source.startswith("^")]


def _plain(node: tf.compat.v1.NodeDef) -> tf.compat.v1.NodeDef:
    """Copy a node without control dependencies, checks, devices and recorded shapes (attributes in `_`).

    A check between a convolution and its ReLU keeps TensorFlow from fusing the two; so it becomes an Identity, which
    TensorFlow removes.
    """
    attributes = {key: value for key, value in node.attr.items() if not key.startswith("_")}
    plain = tf.compat.v1.NodeDef(name=node.name, op=node.op, input=_data_inputs(node), attr=attributes)
    if node.op == "CheckNumerics":
        become(plain, "Identity", *plain.input)
    return plain


def _refuse_foreign(node: tf.compat.v1.NodeDef, bottleneck_tensor: str) -> None:
    """Refuse a node that needs to be fed or restored besides the pixels."""
    if node.op in _VARIABLES:
        raise BackboneError(
            f"The graph is not frozen: {node.name} is a variable. Freeze it, so that its variables are constants, or "
            "give a SavedModel."
        )
    if node.op == "Placeholder":
        raise BackboneError(f"The tensor {bottleneck_tensor} also needs {node.name}:0, which nothing feeds. {_REMEDY}")
