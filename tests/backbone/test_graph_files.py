"""Files of frozen graphs: the size of the input is read, and errors name the file."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.backbone.frozen_graph import frozen_network, input_size, modernise
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf
from tests.backbone.growing_graph import SIZE
from tests.backbone.inception import build_graph
from tests.backbone.networks import draw_graph, write_graph


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("small") / "graph.pb", build_graph(1 / 64))


def custom_op() -> tf.compat.v1.GraphDef:
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="pixels", op="Placeholder")
    graph.node.add(name="mine", op="OpOfMyOwn", input=["pixels"])
    return graph


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        (lambda path: path.write_bytes(b""), "is no frozen graph: it holds no nodes"),
        (lambda path: path.write_bytes(b"no graph at all"), "is no frozen graph, or is damaged"),
        (lambda path: path.write_text('node {\n  name: "pixels"\n}\n'), "is no frozen graph, or is damaged"),
        (lambda path: path.write_bytes(custom_op().SerializeToString()[:-5]), "is no frozen graph, or is damaged"),
        (lambda path: path.mkdir(), r"cannot be read \(Is a directory\)"),
        (lambda _: None, r"cannot be read \(No such file"),
    ],
    ids=["empty", "no graph", "text", "cut short", "folder", "gone"],
)
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, write: Callable[[Path], object], cause: str) -> None:
    write(tmp_path / "graph.pb")
    with pytest.raises(BackboneError, match=rf"graph\.pb {cause}.*Give the \.pb file of a frozen graph"):
        frozen_network(tmp_path / "graph.pb", "Mul:0", "pool_3:0")


def test_errors_of_tensors_name_the_file(small: Path) -> None:
    with pytest.raises(BackboneError, match=rf"^{re.escape(str(small))}: .*'pool_4:0'; similar names are pool_3:0"):
        frozen_network(small, "Mul:0", "pool_4:0")
    with pytest.raises(BackboneError, match=rf"^{re.escape(str(small))}: .*'Mull:0'; similar names are Mul:0"):
        input_size(small, "Mull:0")


@pytest.mark.parametrize(
    ("tensor", "size"), [("Mul:0", SIZE), ("Mul", SIZE), ("ExpandDims:0", None), ("DecodeJpeg/contents:0", None)]
)
def test_the_size_is_told_where_the_graph_of_2015_fixes_it(small: Path, tensor: str, size: int | None) -> None:
    assert input_size(small, tensor) == size


@pytest.mark.parametrize(
    ("shape", "size"), [((None, 224, 224, 3), 224), ((None, 224, 192, 3), None), ((None, None, None, 3), None)]
)
def test_the_size_of_a_placeholder_is_told_where_it_is_a_square(
    tmp_path: Path, shape: tuple[int | None, ...], size: int | None
) -> None:
    assert input_size(draw_graph(tmp_path / "graph.pb", tf.identity, shape), "pixels:0") == size


def test_an_op_that_tensorflow_does_not_have_is_named_and_has_no_size(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"does not have: OpOfMyOwn \(mine\)"):
        modernise(custom_op(), "pixels", "mine")
    assert input_size(write_graph(tmp_path / "graph.pb", custom_op()), "mine:0") is None
