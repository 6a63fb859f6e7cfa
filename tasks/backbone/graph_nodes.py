"""Finds, reads and adds nodes of a GraphDef."""

from typing import Any

import numpy.typing as npt

from tasks.runtime.tensorflow_import import tf

Value = npt.NDArray[Any]


def operation_of(tensor: str) -> str:
    """Name the operation that gives a tensor: `pool_3` for `pool_3:0` and for `pool_3`."""
    return tensor.partition(":")[0]


def tensor_of(text: str) -> str:
    """Write a tensor's name in full: `pool_3:0` for `pool_3`."""
    return text if ":" in text else f"{text}:0"


class Nodes:
    """The nodes of a graph, which is changed in place.

    Args:
        graph: A graph without control dependencies.
    """

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
