"""The ops that a user's graph may hold: those that compute, and none that reaches beyond the graph.

A graph is a program. Some ops of TensorFlow read or write files, run Python, print to files, talk to other machines or
end the process, and a graph can hold them anywhere. TensorFlow's own definition of an op decides: an op is allowed if
it has no state, and takes and gives neither strings nor resources, so that nothing could name a file. The exceptions,
either way, are listed here, after a review of all ops of TensorFlow 2.21. A new op of a later version is refused if it
could name a file.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf

#: Nodes of a graph with every function call expanded. The largest network of keras.applications has 10,000.
MAX_NODES = 1_000_000
#: Depth of calls between functions.
MAX_CALL_DEPTH = 100

#: Ops without state or strings that do more than compute.
_HARMFUL = frozenset(
    {
        *("Abort", "DatasetToGraph", "DatasetToGraphV2", "EncodeProto", "ImmutableConst", "MlirPassthroughOp"),
        *("Copy", "CopyHost", "DebugIdentity", "DebugNanCount", "DebugNumericSummary"),
        *("PyFuncStateless", "XlaCustomCall", "XlaCustomCallV2"),
    }
)
#: Ops with state, resources or strings that are harmless: calls, variables, random numbers, checks, image decoders.
_HARMLESS = frozenset(
    {
        *("Case", "If", "While", "StatefulPartitionedCall", "_Arg", "_Retval"),
        *("AssignAddVariableOp", "AssignSubVariableOp", "AssignVariableOp", "DisableCopyOnRead", "ReadVariableOp"),
        *("ResourceGather", "VarHandleOp", "VarIsInitializedOp", "VariableShape"),
        *("Multinomial", "RandomGamma", "RandomShuffle", "RandomStandardNormal", "RandomUniform", "RandomUniformInt"),
        *("RngReadAndSkip", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniform"),
        *("StatefulUniformFullInt", "StatefulUniformInt", "StatelessRandomGetAlg", "TruncatedNormal"),
        *("Assert", "CheckNumerics", "CheckNumericsV2", "DeviceIndex", "Empty", "GuaranteeConst"),
        *("DecodeAndCropJpeg", "DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeRaw"),
        "ExtractJpegShape",
    }
)
#: Lists of tensors are variants, as datasets are; a dataset may read files, a list does not.
_LISTS = ("EmptyTensorList", "TensorList")


def check_ops(path: Path, nodes: Iterable[Any], library: Any) -> None:
    """Refuse a graph that does more than compute: NodeDefs that are run, and a FunctionDefLibrary that they may call.

    Raises:
        BackboneError: An op is not allowed, functions call themselves, or the graph is absurdly large.
    """
    harmful = harmful_ops(path, nodes, library)
    if harmful:
        ops = ", ".join(f"{op} ({name})" for op, name in sorted(harmful.items()))
        raise BackboneError(
            f"{path} holds ops that no network needs, and that could read or write files, run code or talk to other "
            f"machines: {ops}. Export the network alone, from pixels to vectors."
        )


def harmful_ops(path: Path, nodes: Iterable[Any], library: Any) -> Mapping[str, str]:
    """Map each op that is not allowed to the name of a node; see `check_ops`.

    Raises:
        BackboneError: Functions call themselves, or the graph is absurdly large.
    """
    walk = _Walk(library)
    try:
        size = walk.size(nodes, 0)
    except RecursionError as exc:
        raise BackboneError(
            f"{path} holds functions that call themselves, or each other more than {MAX_CALL_DEPTH} deep. Export "
            "the network alone, from pixels to vectors."
        ) from exc
    if size > MAX_NODES:
        raise BackboneError(f"{path} holds a graph of {size:.1e} operations, which no network has. Export it anew.")
    return walk.harmful


class _Walk:
    """Visits nodes and all functions that they call, each once."""

    def __init__(self, library: Any) -> None:
        self._functions = {function.signature.name: function.node_def for function in library.function}
        self._sizes: dict[str, int] = {}
        self.harmful: dict[str, str] = {}

    def size(self, nodes: Iterable[Any], depth: int) -> int:
        if depth > MAX_CALL_DEPTH:
            raise RecursionError
        size = 0
        for node in nodes:
            size += 1 + sum(self._called(name, depth) for name in _calls(node))
            if node.op in self._functions:
                size += self._called(node.op, depth)
            elif not _is_harmless(node.op):
                self.harmful.setdefault(node.op, node.name)
        return size

    def _called(self, name: str, depth: int) -> int:
        if name not in self._sizes:
            self._sizes[name] = self.size(self._functions.get(name, ()), depth + 1)
        return self._sizes[name]


def _calls(node: Any) -> list[str]:
    return [
        function.name
        for value in node.attr.values()
        for function in ([value.func] if value.HasField("func") else value.list.func)
    ]


def _is_harmless(op: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(op)
    if definition is None or op in _HARMFUL:
        return False
    if op in _HARMLESS or op.startswith(_LISTS):
        return True
    named = {tf.string.as_datatype_enum, tf.resource.as_datatype_enum, tf.variant.as_datatype_enum}
    arguments = [*definition.input_arg, *definition.output_arg]
    return not definition.is_stateful and not any(argument.type in named for argument in arguments)
