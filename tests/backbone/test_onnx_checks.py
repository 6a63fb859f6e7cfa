"""Hostile and damaged ONNX files are refused by name, before anything but protobuf's parser reads them."""

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.backbone.onnx_checks import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_onnx
from tasks.errors import BackboneError
from tests.backbone.onnx_models import NODES, graph_of, model_of, small, write

EXTERNAL = "in another file"
HUGE = "asks for a tensor of"
DAMAGED = "does not hold the numbers that it declares"
Change = Callable[[Any], object]


def outside(name: str = "secret", location: str = "/etc/passwd") -> Any:
    """A tensor whose numbers are in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def inside(values: Any, name: str = "size") -> Any:
    return numpy_helper.from_array(np.array(values), name)


def sparse(values: Any, indices: Any = None, dims: tuple[int, ...] = (9,)) -> Any:
    return helper.make_sparse_tensor(values, inside([0, 1, 2], "indices") if indices is None else indices, dims)


def add_node(kind: str, *inputs: str, domain: str = "", **attributes: Any) -> Change:
    def change(model: Any) -> None:
        model.graph.node.append(helper.make_node(kind, inputs, ["added"], "the_node", domain=domain, **attributes))

    return change


def add_tensor(tensor: Any) -> Change:
    return lambda model: model.graph.initializer.append(tensor)


def add_attribute(**fields: Any) -> Change:
    """Add a node with an attribute of any fields."""

    def change(model: Any) -> None:
        node = model.graph.node.add(op_type="Constant", name="the_node", output=["added"])
        attribute = node.attribute.add(name="value")
        for field, value in fields.items():
            target = getattr(attribute, field)
            target.extend([value]) if hasattr(target, "extend") else target.CopyFrom(value)

    return change


def branch(*nodes: Any, tensors: tuple[Any, ...] = ()) -> Any:
    return helper.make_graph(nodes, "branch", [], [], tensors)


def add_sized(kind: str, sizes: Any, *before: str) -> Change:
    """Add an operator that takes a constant as a size, after the other inputs."""

    def change(model: Any) -> None:
        add_tensor(inside(sizes))(model)
        add_node(kind, *before, "size")(model)

    return change


def sized_by_constant(kind: str, **value: Any) -> Change:
    def change(model: Any) -> None:
        model.graph.node.append(helper.make_node("Constant", [], ["size"], **value))
        add_node(kind, "pixels", "size")(model)

    return change


def nest(depth: int) -> Change:
    graph = branch(helper.make_node("Relu", ["pixels"], ["inner"]))
    for _ in range(depth):
        graph = branch(helper.make_node("If", ["condition"], ["out"], then_branch=graph))
    return lambda model: model.graph.node.extend(graph.node)


def set_dims(*dims: int) -> Change:
    def change(model: Any) -> None:
        model.graph.initializer[0].dims[:] = dims

    return change


def set_first(**fields: Any) -> Change:
    def change(model: Any) -> None:
        for field, value in fields.items():
            setattr(model.graph.initializer[0], field, value)

    return change


def add_function(model: Any) -> None:
    body = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("custom", "Mine", ["x"], ["y"], body, model.opset_import))


def declare(*dims: int) -> Change:
    return lambda model: model.graph.value_info.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, dims))


def listed_only(model: Any) -> None:
    """An entry of external data without the flag that says so."""
    model.graph.initializer[0].external_data.add(key="location", value="../weights.bin")


TERA = [1_000_000, 1_000_000]
MICROSOFT = "'com.microsoft', which is no operator of ONNX"
HOSTILE: dict[str, tuple[Change, str]] = {
    "an initialiser outside": (add_tensor(outside()), f"numbers of 'secret' {EXTERNAL}"),
    "an address in memory": (add_tensor(outside(location="*/_ORT_MEM_ADDR_/*")), EXTERNAL),
    "a location without a flag": (listed_only, f"'first' {EXTERNAL}"),
    "a sparse initialiser outside": (lambda m: m.graph.sparse_initializer.append(sparse(outside())), EXTERNAL),
    "sparse indices outside": (
        lambda m: m.graph.sparse_initializer.append(sparse(inside([1.0] * 3), outside())),
        EXTERNAL,
    ),
    "an attribute outside": (add_attribute(t=outside()), EXTERNAL),
    "a list of tensors outside": (add_attribute(tensors=outside()), EXTERNAL),
    "a sparse attribute outside": (add_attribute(sparse_tensor=sparse(outside())), EXTERNAL),
    "a list of sparse tensors outside": (add_attribute(sparse_tensors=sparse(outside())), EXTERNAL),
    "a tensor of a branch outside": (add_node("If", "c", then_branch=branch(tensors=(outside(),))), EXTERNAL),
    "a tensor of a list of graphs outside": (add_attribute(graphs=branch(tensors=(outside(),))), EXTERNAL),
    "an attribute in a branch outside": (
        add_node("If", "c", else_branch=branch(helper.make_node("Constant", [], ["x"], value=outside()))),
        EXTERNAL,
    ),
    "an unused Constant outside": (add_node("Constant", value=outside()), EXTERNAL),
    "a function of its own": (add_function, "holds functions of its own .'Mine'."),
    "a graph for training": (lambda m: m.training_info.add(), "holds graphs for training"),
    "an operator of a runtime": (
        add_node("FusedConv", domain="com.microsoft"),
        rf"'FusedConv' \('the_node'\) of {MICROSOFT}",
    ),
    "an operator of OpenVINO": (add_node("Swish", domain="org.openvinotoolkit"), "'org.openvinotoolkit'"),
    "an operator of trees": (add_node("TreeEnsemble", domain="ai.onnx.ml"), "'ai.onnx.ml'"),
    "an operator of training": (add_node("Adam", domain="ai.onnx.preview.training"), "'ai.onnx.preview.training'"),
    "a foreign operator in a branch": (
        add_node("If", "c", then_branch=branch(helper.make_node("Inner", [], ["x"], domain="evil"))),
        "'evil'",
    ),
    "a domain with a space": (add_node("Relu", "pixels", domain=" "), "of ' '"),
    "a loop": (add_node("Loop", "n", "c", body=branch()), r"'Loop' \('the_node'\), which repeats"),
    "a scan": (add_node("Scan", "x", body=branch(), num_scan_inputs=1), "'Scan'"),
    "a map of a sequence": (add_node("SequenceMap", "x", body=branch()), "'SequenceMap'"),
    "random numbers": (add_node("RandomNormalLike", "pixels"), "'RandomNormalLike'"),
    "a draw": (add_node("Bernoulli", "pixels"), "'Bernoulli'"),
    "a loop in a branch": (
        add_node("If", "c", then_branch=branch(helper.make_node("Loop", ["n"], ["x"], body=branch()))),
        "'Loop'",
    ),
    "more numbers than there are": (set_dims(8, 3, 3, 4), rf"'first' of shape \[8, 3, 3, 4\] {DAMAGED}"),
    "fewer numbers than there are": (set_dims(8, 3, 3), DAMAGED),
    "a negative size": (set_dims(-1), DAMAGED),
    "two negative sizes": (set_dims(-8, -27), DAMAGED),
    "a size of 2^62": (set_dims(2**62, 2**62), DAMAGED),
    "a product that overflows to the right one": (set_dims(216, 2**32, 2**32), DAMAGED),
    "an unknown type": (set_first(data_type=99), DAMAGED),
    "no type": (set_first(data_type=0), DAMAGED),
    "another type": (set_first(data_type=TensorProto.DOUBLE), DAMAGED),
    "text as numbers": (set_first(data_type=TensorProto.STRING), DAMAGED),
    "raw data cut short": (set_first(raw_data=b"123"), DAMAGED),
    "no data": (set_first(raw_data=b""), DAMAGED),
    "a part of a tensor": (lambda m: m.graph.initializer[0].segment.CopyFrom(TensorProto.Segment(begin=0)), DAMAGED),
    "typed data in place of raw data": (
        add_tensor(TensorProto(name="typed", data_type=1, dims=[4], float_data=[1.0])),
        DAMAGED,
    ),
    "half bytes cut short": (add_tensor(TensorProto(name="int4", data_type=22, dims=[8], raw_data=b"1")), DAMAGED),
    "a large zero": (add_sized("ConstantOfShape", TERA), rf"{HUGE} 1\.0e\+12 numbers at 'ConstantOfShape'"),
    "a large expansion": (add_sized("Expand", TERA, "pixels"), HUGE),
    "many tiles": (add_sized("Tile", TERA, "pixels"), HUGE),
    "a large size": (add_sized("Resize", [1, 3, *TERA], "pixels", "", ""), HUGE),
    "a large scale": (add_sized("Resize", [1.0, 1.0, 1e9, 1e9], "pixels", ""), HUGE),
    "an endless scale": (add_sized("Resize", [1.0, 1.0, math.inf, 1.0], "pixels", ""), HUGE),
    "no scale": (add_sized("Resize", [1.0, 1.0, math.nan, 1.0], "pixels", ""), HUGE),
    "a large scale of old": (add_sized("Upsample", [1.0, 1.0, 1e9, 1e9], "pixels"), HUGE),
    "a large margin": (add_sized("Pad", [0, 0, *TERA, 0, 0, 0, 0], "pixels"), HUGE),
    "a large negative margin": (add_sized("Pad", [0, 0, -TERA[0], TERA[0], 0, 0, 0, 0], "pixels"), HUGE),
    "a long range": (add_sized("Range", 10**12, "zero"), HUGE),
    "many classes": (add_sized("OneHot", 10**12, "x"), HUGE),
    "a size of a Constant": (sized_by_constant("Expand", value=inside(TERA)), HUGE),
    "a size of a Constant's numbers": (sized_by_constant("Expand", value_ints=TERA), HUGE),
    "a size of a Constant's number": (sized_by_constant("OneHot", value_int=10**12), HUGE),
    "a size from outside a branch": (
        lambda m: [
            add_tensor(inside(TERA))(m),
            add_node("If", "c", then_branch=branch(helper.make_node("ConstantOfShape", ["size"], ["x"])))(m),
        ],
        HUGE,
    ),
    "a large kernel": (add_node("MaxPool", "pixels", kernel_shape=TERA), HUGE),
    "a large margin of a convolution": (add_node("Conv", "pixels", "first", pads=[*TERA, 0, 0]), HUGE),
    "a large stride": (add_node("MaxPool", "pixels", kernel_shape=[1, 1], strides=TERA), HUGE),
    "a large output": (add_node("ConvTranspose", "pixels", "first", output_shape=TERA), HUGE),
    "large scales of old": (add_node("Upsample", "pixels", scales=[1.0, 1.0, 1e9, 1e9]), HUGE),
    "a large sparse tensor": (
        lambda m: m.graph.sparse_initializer.append(sparse(inside([1.0] * 3, "few"), dims=(2**40, 2**40))),
        HUGE,
    ),
    "a large declared tensor": (declare(1, 2**40), r"declares 'map' with a dimension of 1\.1e\+12"),
    "graphs in graphs": (nest(MAX_DEPTH + 1), f"more than {MAX_DEPTH} deep"),
    "too many operators": (
        lambda m: m.graph.node.extend([helper.make_node("Relu", ["x"], ["y"])] * MAX_NODES),
        "more than 100,000 operators",
    ),
    "no operators": (lambda m: m.graph.ClearField("node"), "holds no graph"),
    "no version": (lambda m: m.ClearField("ir_version"), "holds no graph"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_model_is_refused_by_name(tmp_path: Path, what: str) -> None:
    change, message = HOSTILE[what]
    model = model_of(graph_of())
    change(model)
    path = write(model, tmp_path / "mine.onnx")
    with pytest.raises(BackboneError, match=rf"^{path} .*{message}"):
        read_onnx(path)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.onnx", b"x" * 100)
    return buffer.getvalue()


def field(number: int, data: bytes) -> bytes:
    """A field of protobuf that holds bytes or a message."""
    length, size = b"", len(data)
    while size > 127:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([number * 8 + 2]) + length + bytes([size]) + data


def nested_bytes(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph, and so on."""
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 346\n"
OTHERS = {
    "nothing": (b"", "holds no graph"),
    "text": (b"not a model\n" * 9, "is no ONNX file"),
    "a web page": (b"<!DOCTYPE html><html>404</html>", "is no ONNX file"),
    "a ZIP file": (zipped(), "is no ONNX file"),
    "zeros": (bytes(1000), "is no ONNX file"),
    "a pointer of Git LFS": (LFS, "git lfs pull"),
    "graphs deeper than protobuf goes": (nested_bytes(10_000), "is no ONNX file, or is damaged"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is no ONNX file"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_file_is_refused(tmp_path: Path, what: str) -> None:
    data, message = OTHERS[what]
    path = tmp_path / "mine.onnx"
    path.write_bytes(data)
    with pytest.raises(BackboneError, match=message):
        read_onnx(path)


def test_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BackboneError, match="has 2,147,483,648 bytes; an ONNX file has at most 2,147,483,647"):
        read_onnx(path)


def test_every_truncation_is_refused_or_a_whole_model(tmp_path: Path) -> None:
    """A cut at the end of a field of a message leaves a shorter model, as protobuf has no end."""
    whole = small(tmp_path / "whole.onnx").read_bytes()
    path, read = tmp_path / "mine.onnx", 0
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            model = read_onnx(path)
        except BackboneError:
            continue
        read += 1
        assert model.graph.node == model_of(graph_of()).graph.node
    assert read <= 3


def test_model_as_it_is_published_is_let_in(tmp_path: Path) -> None:
    """Metadata, a listed but unused domain, an If, sizes that networks have, and open dimensions."""
    model = model_of(graph_of(NODES))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.metadata_props.add(key="author", value="me")
    add_sized("Resize", [1.0, 1.0, 2.0, 2.0], "pixels", "")(model)
    add_node("Pad", "pixels")(model)
    add_node("If", "c", then_branch=branch(helper.make_node("Relu", ["pixels"], ["x"])))(model)
    add_node("Slice", "pixels", ends=[2**63 - 1], starts=[0])(model)
    path = write(model, tmp_path / "mine.onnx")
    assert read_onnx(path) == model


def test_fields_that_are_not_onnx_s_are_left_out(tmp_path: Path) -> None:
    """With nodes of TensorFlow in its first field, a file could be a graph of both."""
    model = model_of(graph_of())
    path = tmp_path / "mine.onnx"
    path.write_bytes(
        field(1, field(1, b"node") + field(2, b"ReadFile")) + model.SerializeToString() + field(15, b"more")
    )
    assert read_onnx(path).SerializeToString() == model.SerializeToString()
