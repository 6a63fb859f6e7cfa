"""Size, layout and scaling of the input of an ONNX file are read from the file, as far as it states them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tasks.backbone.onnx_input import read_photo_input
from tasks.errors import BackboneError
from tests.backbone.onnx_models import NODES, SIZE, WEIGHTS, graph_of, model_of, small, write


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("N", 3, SIZE, SIZE), (1, SIZE)),
        ((1, 3, SIZE, SIZE), (1, SIZE)),
        (("batch", "num_channels", "height", "width"), (1, None)),
        (("N", 3, "H", "W"), (1, None)),
        (("N", "H", "W", "Channels"), (3, None)),
        (("N", SIZE, SIZE, 3), (3, SIZE)),
    ],
)
def test_layout_and_size_are_read_from_the_shape(
    tmp_path: Path, shape: Sequence[int | str], expected: tuple[int, int | None]
) -> None:
    assert read_photo_input(small(tmp_path / "mine.onnx", shape=shape))[1:3] == expected


def test_layout_is_read_from_the_denotation(tmp_path: Path) -> None:
    model = model_of(graph_of(shape=("a", "b", "c", "d")))
    model.graph.input[0].type.tensor_type.shape.dim[1].denotation = "DATA_CHANNEL"
    assert read_photo_input(write(model, tmp_path / "mine.onnx")).channels == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("N", 1, SIZE, SIZE), r"of shape \[N, 1, 24, 24\]"),
        (("N", 4, SIZE, SIZE), "square photos in RGB"),
        ((8, 3, SIZE, SIZE), "square photos in RGB"),
        (("N", 3, 24, 32), "square photos in RGB"),
        (("N", 3, 24, "W"), "square photos in RGB"),
        (("N", 3, 8192, 8192), "up to 4,096 pixels"),
        (("a", "b", "c", "d"), "square photos in RGB"),
        ((1, 3, 3, 3), "square photos in RGB"),
        (("N", 3), r"0 inputs of four dimensions.*pixels \[N, 3\]"),
    ],
)
def test_input_that_takes_no_photos_is_an_error(tmp_path: Path, shape: Sequence[int | str], message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        read_photo_input(small(tmp_path / "mine.onnx", shape=shape))


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.STRING, TensorProto.INT8])
def test_input_of_another_type_is_an_error(tmp_path: Path, kind: int) -> None:
    with pytest.raises(BackboneError, match=f"takes photos as {TensorProto.DataType.Name(kind)}. Export it for BFLOAT"):
        read_photo_input(small(tmp_path / "mine.onnx", kind=kind))


@pytest.mark.parametrize(
    ("stated", "scaling"),
    [
        ({"Image.NominalPixelRange": "Normalized_0_1"}, "unit"),
        ({"Image.NominalPixelRange": "Normalized_1_1", "Image.BitmapPixelFormat": "Rgb8"}, "symmetric"),
        ({"Image.NominalPixelRange": "NominalRange_0_255"}, "raw"),
        ({"Image.NominalPixelRange": "NominalRange_16_235"}, ""),
        ({}, ""),
    ],
)
def test_scaling_is_read_from_the_metadata(tmp_path: Path, stated: Mapping[str, str], scaling: str) -> None:
    model = model_of(graph_of())
    helper.set_model_props(model, dict(stated))
    assert read_photo_input(write(model, tmp_path / "mine.onnx")).scaling == scaling


def test_model_of_another_order_of_colours_is_an_error(tmp_path: Path) -> None:
    model = model_of(graph_of())
    helper.set_model_props(model, {"Image.BitmapPixelFormat": "Bgr8"})
    with pytest.raises(BackboneError, match="takes pixels as 'Bgr8', and photos are Rgb8"):
        read_photo_input(write(model, tmp_path / "mine.onnx"))


def scaled_by(*steps: tuple[str, Any]) -> dict[str, Any]:
    """A network whose first operators are these, with their constants."""
    nodes, weights, last = [], dict(WEIGHTS), "pixels"
    for number, (kind, constant) in enumerate(steps):
        inputs = [last]
        if constant is not None:
            inputs.append(f"constant{number}")
            weights[inputs[1]] = np.asarray(constant, np.float32)
        last = f"step{number}"
        attributes: dict[str, Any] = {"to": TensorProto.FLOAT} if kind == "Cast" else {}
        nodes.append(helper.make_node(kind, inputs, [last], **attributes))
    first = helper.make_node("Conv", [last, "first"], ["stem"], strides=[2, 2])
    return {"nodes": [*nodes, first, *NODES[1:]], "weights": weights}


MEAN = np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1))


@pytest.mark.parametrize(
    ("steps", "scaling"),
    [
        ([("Div", 255)], "raw"),
        ([("Cast", None), ("Mul", 1 / 127.5), ("Sub", 1)], "raw"),
        ([("Sub", 255 * MEAN), ("Div", [58.0])], "raw"),
        ([("Div", 255), ("Sub", MEAN), ("Div", 0.225)], "raw"),
        ([("Sub", MEAN), ("Div", 0.225)], ""),  # of 0 to 1
        ([("Mul", 0.5), ("Add", 0.5)], ""),  # of -1 to 1
        ([("Cast", None)], ""),
        ([("Div", 0)], ""),
        ([("Relu", None), ("Div", 255)], ""),
        ([("Div", np.full((1, 3, SIZE, SIZE), 255.0))], ""),
        ([], ""),
    ],
)
def test_graph_that_scales_pixels_by_itself_is_known_by_its_first_operators(
    tmp_path: Path, steps: Sequence[tuple[str, Any]], scaling: str
) -> None:
    assert read_photo_input(small(tmp_path / "mine.onnx", **scaled_by(*steps))).scaling == scaling


def test_constant_before_the_pixels_and_a_circle_of_operators(tmp_path: Path) -> None:
    before = helper.make_node("Sub", ["white", "pixels"], ["dark"])
    number = helper.make_node("Constant", [], ["white"], value=helper.make_tensor("white", TensorProto.FLOAT, [], [1]))
    path = tmp_path / "mine.onnx"
    assert read_photo_input(small(path, nodes=[number, before, *NODES[1:]])).scaling == ""
    circle = helper.make_node("Identity", ["pixels"], ["pixels"])
    assert read_photo_input(small(path, nodes=[circle])).scaling == ""
