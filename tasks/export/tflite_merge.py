"""Puts TFLite models behind each other as one, so that an int8 network is exported with the very bytes that it has."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray


class MergedPart:
    """A TFLite model that is to become part of a chain; its weights stand there once, however often it is called.

    Args:
        model: The model, of one subgraph.
    """

    def __init__(self, model: bytes) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(model)
        self.graph = self.model.subgraphs[0]
        #: Where the chain has the part's constants: places of tensors there, by those here.
        self.constants: dict[int, int] = {}

    def is_constant(self, place: int) -> bool:
        """Whether a tensor's values stand in the file."""
        return self.model.buffers[self.graph.tensors[place].buffer].data is not None


class MergedModel:
    """A TFLite model in the making.

    Args:
        first: The part whose inputs are the chain's.
    """

    def __init__(self, first: MergedPart) -> None:
        self._model = schema.ModelT(version=first.model.version, description="chain")
        # By TFLite's rules the first buffer is the empty one.
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._graph = schema.SubGraphT(name="main", tensors=[], operators=[])
        self._model.subgraphs = [self._graph]
        self.inputs = [self._add_tensor(first, place) for place in first.graph.inputs]

    def call(self, part: MergedPart, inputs: Sequence[int]) -> list[int]:
        """Call a part with tensors of the chain, and return the places of its outputs."""
        taken = dict(zip(part.graph.inputs.tolist(), inputs, strict=True))
        for place, given in taken.items():
            # What the numbers of a plain tensor stand for is up to the part that takes them.
            self._graph.tensors[given].quantization = part.graph.tensors[place].quantization
        places = part.constants | taken
        for place in range(len(part.graph.tensors)):
            if place not in places:
                places[place] = self._add_tensor(part, place)
                if part.is_constant(place):
                    part.constants[place] = places[place]
        for operator in part.graph.operators:
            self._graph.operators.append(self._moved(part, operator, places))
        return [places[place] for place in part.graph.outputs]

    def finish(self, outputs: Sequence[int]) -> bytes:
        """End the chain with these tensors as its outputs, and return the TFLite model."""
        self._graph.inputs = np.array(self.inputs, np.int32)
        self._graph.outputs = np.array(outputs, np.int32)
        return bytes(convert_object_to_bytearray(self._model))

    def _add_tensor(self, part: MergedPart, place: int) -> int:
        own = part.graph.tensors[place]
        tensor = schema.TensorT(**vars(own))
        tensor.buffer = 0
        if part.is_constant(place):
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(part.model.buffers[own.buffer])
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _moved(self, part: MergedPart, operator: Any, places: dict[int, int]) -> Any:
        """An operator of a part as one of the chain; -1 stands for an input that is left out."""
        moved = schema.OperatorT(**vars(operator))
        moved.opcodeIndex = self._code(part.model.operatorCodes[operator.opcodeIndex])
        moved.inputs = np.array([places.get(place, -1) for place in operator.inputs.tolist()], np.int32)
        moved.outputs = np.array([places[place] for place in operator.outputs.tolist()], np.int32)
        return moved

    def _code(self, code: Any) -> int:
        """Place of a kind of operator in the chain's list; it is added where it is not there yet."""
        for place, known in enumerate(self._model.operatorCodes):
            if vars(known) == vars(code):
                return place
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1
