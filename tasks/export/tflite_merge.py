"""Chains TFLite models into one, so that an int8 network is exported with its own bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray

#: Version of TFLite's format.
_VERSION = 3


class MergedPart:
    """A TFLite model of one subgraph to merge; its weights are stored once, however often it is called."""

    def __init__(self, model: bytes) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(model)
        self.graph = self.model.subgraphs[0]
        #: Indices of constant tensors in the merged model, by their indices in this one.
        self.constants: dict[int, int] = {}

    def is_constant(self, tensor: int) -> bool:
        """Whether a tensor's values are stored in the file."""
        return self.model.buffers[self.graph.tensors[tensor].buffer].data is not None


class MergedModel:
    """Builds a TFLite model from parts."""

    def __init__(self) -> None:
        self._model = schema.ModelT(version=_VERSION, description="chain")
        # TFLite requires the first buffer to be empty.
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._graph = schema.SubGraphT(name="main", tensors=[], operators=[])
        self._model.subgraphs = [self._graph]
        self._inputs: list[int] = []

    def add_input(self, part: MergedPart) -> int:
        """Add an input like that of a part of one input, and return its index."""
        self._inputs.append(self._add_tensor(part, part.graph.inputs[0]))
        return self._inputs[-1]

    def shape(self, tensor: int) -> Sequence[int]:
        """Return the shape of a tensor."""
        shape: Sequence[int] = self._graph.tensors[tensor].shape
        return shape

    def call(self, part: MergedPart, inputs: Sequence[int]) -> list[int]:
        """Call a part with tensors of the merged model, and return the indices of its outputs."""
        arguments = dict(zip(part.graph.inputs.tolist(), inputs, strict=True))
        for tensor, argument in arguments.items():
            # The part that takes a plain tensor determines its scale.
            self._graph.tensors[argument].quantization = part.graph.tensors[tensor].quantization
        indices = part.constants | arguments
        for tensor in range(len(part.graph.tensors)):
            if tensor not in indices:
                indices[tensor] = self._add_tensor(part, tensor)
                if part.is_constant(tensor):
                    part.constants[tensor] = indices[tensor]
        for operator in part.graph.operators:
            self._graph.operators.append(self._moved(part, operator, indices))
        return [indices[tensor] for tensor in part.graph.outputs]

    def finish(self, outputs: Sequence[int]) -> bytes:
        """Return the TFLite model with these tensors as its outputs."""
        self._graph.inputs = np.array(self._inputs, np.int32)
        self._graph.outputs = np.array(outputs, np.int32)
        return bytes(convert_object_to_bytearray(self._model))

    def _add_tensor(self, part: MergedPart, index: int) -> int:
        original = part.graph.tensors[index]
        tensor = schema.TensorT(**vars(original))
        tensor.buffer = 0
        if part.is_constant(index):
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(part.model.buffers[original.buffer])
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _moved(self, part: MergedPart, operator: Any, indices: dict[int, int]) -> Any:
        """Return an operator of a part as one of the merged model; -1 stands for an omitted input."""
        moved = schema.OperatorT(**vars(operator))
        moved.opcodeIndex = self._code(part.model.operatorCodes[operator.opcodeIndex])
        moved.inputs = np.array([indices.get(tensor, -1) for tensor in operator.inputs.tolist()], np.int32)
        moved.outputs = np.array([indices[tensor] for tensor in operator.outputs.tolist()], np.int32)
        return moved

    def _code(self, code: Any) -> int:
        """Return the index of a kind of operator in the merged model's list, to which it is added if missing."""
        for index, known in enumerate(self._model.operatorCodes):
            if vars(known) == vars(code):
                return index
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
