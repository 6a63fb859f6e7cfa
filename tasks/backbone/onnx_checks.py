"""The checks of a user's ONNX file, before anything but protobuf's parser reads it.

An ONNX file is not inert. Its tensors can name other files, by any path, whose bytes OpenVINO would read as numbers.
Its operators can be those of libraries, and a few bytes can ask for terabytes. The checks refuse all that a network
from pixels to vectors does not need, by name. What they cannot know beforehand, `tasks.backbone.onnx_trial` bounds.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx import numpy_helper

from tasks.errors import BackboneError

#: Bytes of a file: protobuf's own limit. A larger network needs external data.
MAX_BYTES = 2**31 - 1
#: Nodes of a graph with all its subgraphs.
MAX_NODES = 100_000
#: Depth of graphs within nodes of graphs.
MAX_DEPTH = 8
#: Elements of a tensor that a constant asks for: 4 GB in float32.
MAX_ELEMENTS = 2**30
_DOMAINS = {"", "ai.onnx"}
#: Operators that repeat a graph, for ever if they like, and those that give other numbers in each run.
_REFUSED = frozenset(
    {
        *("Loop", "Scan", "SequenceMap"),
        *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    }
)
#: Operators whose constant inputs, but the first one, are sizes; of the last two the first one, too.
_SIZED = {"Expand": 1, "OneHot": 1, "Pad": 1, "Resize": 1, "Tile": 1, "Upsample": 1, "ConstantOfShape": 0, "Range": 0}
_SIZES = {"dilations", "kernel_shape", "output_padding", "output_shape", "pads", "scales", "strides"}
#: Numbers of a tensor that can be sizes: two for each dimension, and more than any network has dimensions.
_MOST_SIZES = 64
_REMEDY = "Export the network alone, from pixels to vectors."


def read_onnx(path: Path) -> Any:
    """Read and check an ONNX file.

    Returns:
        Its `onnx.ModelProto`. Fields that are not ONNX's are left out, so that other programs that get it see no more
        than was checked.

    Raises:
        BackboneError: It is no ONNX file, is damaged, or holds what a network does not need.
    """
    if path.stat().st_size > MAX_BYTES:
        raise BackboneError(f"{path} has {path.stat().st_size:,} bytes; an ONNX file has at most {MAX_BYTES:,}.")
    data = path.read_bytes()
    if data.startswith(b"version https://git-lfs"):
        raise BackboneError(f"{path} only says where Git LFS keeps the model. Fetch the model itself: git lfs pull")
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as exc:
        raise BackboneError(f"{path} is no ONNX file, or is damaged ({exc}). Export or fetch it again.") from exc
    if not model.ir_version or not model.graph.node:
        raise BackboneError(f"{path} is no ONNX file, or is damaged: it holds no graph. Export or fetch it again.")
    model.DiscardUnknownFields()
    _check_model(path, model)
    return model


def _check_model(path: Path, model: Any) -> None:
    if model.functions:
        raise BackboneError(
            f"{path} holds functions of its own ({model.functions[0].name!a}), which could give operators another "
            "meaning. Write it again with onnx.inliner.inline_local_functions."
        )
    if model.training_info:
        raise BackboneError(f"{path} holds graphs for training. {_REMEDY}")
    _Walk(path).check_graph(model.graph, {}, 0)


class _Walk:
    """Visits a graph and all graphs within its nodes."""

    def __init__(self, path: Path) -> None:
        self._path, self._nodes = path, 0

    def check_graph(self, graph: Any, outer: dict[str, Any], depth: int) -> None:
        """Check a graph; `outer` are the constants of the graphs around it, by their names."""
        self._nodes += len(graph.node)
        if depth > MAX_DEPTH:
            raise BackboneError(f"{self._path} holds graphs that are nested more than {MAX_DEPTH} deep. {_REMEDY}")
        if self._nodes > MAX_NODES:
            raise BackboneError(f"{self._path} holds more than {MAX_NODES:,} operators. {_REMEDY}")
        for value in (*graph.input, *graph.output, *graph.value_info):
            self._check_shape(value)
        constants = dict(outer)
        for tensor in graph.initializer:
            constants[tensor.name] = self._check_tensor(tensor, tensor.name)
        for sparse in graph.sparse_initializer:
            self._check_sparse(sparse, sparse.values.name)
        for node in graph.node:
            self._check_node(node, constants, depth)

    def _check_node(self, node: Any, constants: dict[str, Any], depth: int) -> None:
        name = f"{node.op_type!a} ({node.name or ', '.join(node.output)!a})"
        if node.domain not in _DOMAINS:
            raise BackboneError(
                f"{self._path} holds the operator {name} of {node.domain!a}, which is no operator of ONNX. Export it "
                "without the optimisations of a runtime."
            )
        if node.op_type in _REFUSED:
            raise BackboneError(
                f"{self._path} holds the operator {name}, which repeats a graph or draws random numbers. {_REMEDY}"
            )
        for attribute in node.attribute:
            self._check_attribute(attribute, name, constants, depth)
        for value in _own_values(node):
            constants[node.output[0]] = value
        if node.op_type in _SIZED:
            for place in node.input[_SIZED[node.op_type] :]:
                self._check_size(constants.get(place, ()), name)

    def _check_attribute(self, attribute: Any, name: str, constants: dict[str, Any], depth: int) -> None:
        for tensor in _present(attribute, "t", attribute.tensors):
            self._check_tensor(tensor, f"{attribute.name} of {name}")
        for sparse in _present(attribute, "sparse_tensor", attribute.sparse_tensors):
            self._check_sparse(sparse, f"{attribute.name} of {name}")
        for graph in _present(attribute, "g", attribute.graphs):
            self.check_graph(graph, constants, depth + 1)
        if attribute.name in _SIZES:
            self._check_size((*attribute.ints, *attribute.floats), name)

    def _check_sparse(self, sparse: Any, name: str) -> None:
        for tensor in (sparse.values, sparse.indices):
            self._check_tensor(tensor, name)
        self._check_size(sparse.dims, name)

    def _check_tensor(self, tensor: Any, name: str) -> Any:
        """Check a tensor, and return its numbers, or none where they are too many to be sizes."""
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BackboneError(
                f"{self._path} keeps the numbers of {name!a} in another file, and files that a model names are never "
                "read. Save it as one file: onnx.save(onnx.load(FILE), NEW_FILE)."
            )
        try:
            return _numbers(tensor)
        except (KeyError, NotImplementedError, OverflowError, TypeError, ValueError) as exc:
            raise BackboneError(
                f"{self._path} is damaged: the tensor {name!a} of shape {list(tensor.dims)} does not hold the numbers "
                f"that it declares ({exc}). Export or fetch it again."
            ) from exc

    def _check_size(self, sizes: Iterable[Any], name: str) -> None:
        """Check the product of sizes; those of 0 and -1 leave a dimension as it is."""
        product = math.prod(size for size in map(abs, map(float, sizes)) if not size <= 1)
        if not product <= MAX_ELEMENTS:  # also NaN
            raise BackboneError(
                f"{self._path} asks for a tensor of {product:.1e} numbers at {name}, which no network needs. {_REMEDY}"
            )

    def _check_shape(self, value: Any) -> None:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_value > MAX_ELEMENTS:
                raise BackboneError(
                    f"{self._path} declares {value.name!a} with a dimension of {dimension.dim_value:.1e}, which no "
                    f"network has. {_REMEDY}"
                )


def _present(attribute: Any, field: str, several: Iterable[Any]) -> Iterator[Any]:
    if attribute.HasField(field):
        yield getattr(attribute, field)
    yield from several


def _own_values(node: Any) -> Iterator[Any]:
    """Yield the value of a Constant that holds numbers."""
    if node.op_type == "Constant" and node.output:
        for attribute in node.attribute:
            if attribute.name == "value":
                yield _numbers(attribute.t)
            elif attribute.name.startswith("value_"):
                yield (*attribute.ints, *attribute.floats, attribute.i, attribute.f)


def _numbers(tensor: Any) -> list[float]:
    """Read the numbers of a tensor, which is checked; none where they are too many to be sizes."""
    if tensor.data_type == onnx.TensorProto.STRING or tensor.HasField("segment"):
        raise ValueError("it holds text or is a part of a tensor")
    if min(tensor.dims, default=0) < 0:
        raise ValueError("its shape is negative")
    array = numpy_helper.to_array(tensor)
    return array.ravel().tolist() if array.size <= _MOST_SIZES and array.dtype.kind in "iuf" else []
