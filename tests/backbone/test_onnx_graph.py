"""An ONNX file as OpenVINO's graph, against ONNX's own reference implementation."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tasks.backbone.backbones import Backbone
from tasks.backbone.onnx_graph import build_graph, measure_widths
from tasks.backbone.onnx_input import read_photo_input
from tasks.backbone.scaling import SCALINGS
from tasks.errors import BackboneError, SettingError
from tasks.runtime.openvino_import import ov
from tests.backbone.onnx_models import NODES, SIZE, WEIGHTS, graph_of, model_of, small, write

PIXELS = np.random.default_rng(3).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
TO_NCHW = helper.make_node("Transpose", ["pixels"], ["nchw"], perm=[0, 3, 1, 2])


def backbone_of(*layers: str, scaling: str = "raw", size: int = SIZE) -> Backbone:
    return Backbone("mine", "onnx_file", "", "", size, layers or ("",), (0,) * (len(layers) or 1), scaling)


def computed(path: Path, *layers: str, **options: Any) -> npt.NDArray[np.float32]:
    """Bottlenecks of `PIXELS` by OpenVINO in float32."""
    model = build_graph(backbone_of(*layers, **options), path)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(photo[None])[0].copy() for photo in PIXELS])


def reference(path: Path, output: str, scaled: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An output or inner tensor for pixels as the model takes them, each photo alone."""
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    evaluator = ReferenceEvaluator(model)
    return np.concatenate([np.asarray(evaluator.run([output], {"pixels": photo[None]}))[0] for photo in scaled])


def nchw(scaling: str = "raw") -> npt.NDArray[Any]:
    scaled: npt.NDArray[Any] = SCALINGS[scaling].apply(PIXELS.astype(np.float32)).transpose(0, 3, 1, 2)
    return scaled


@pytest.mark.parametrize("scaling", ["raw", "unit", "symmetric", "inception", "torch", "clip", "caffe"])
def test_each_scaling_and_the_only_output(tmp_path: Path, scaling: str) -> None:
    path = small(tmp_path / "mine.onnx")
    expected = reference(path, "features", nchw(scaling))
    assert expected.shape == (3, 6)
    np.testing.assert_allclose(computed(path, scaling=scaling), expected, rtol=1e-4, atol=1e-4)


def test_several_layers_are_outputs_and_inner_tensors_side_by_side(tmp_path: Path) -> None:
    path = small(tmp_path / "mine.onnx", outputs=("features", "map"))
    maps = [reference(path, name, nchw("unit")).mean((2, 3)) for name in ("stem_relu", "map")]
    expected = np.concatenate([reference(path, "features", nchw("unit")), *maps], 1)
    assert measure_widths(backbone_of("features", "stem_relu", "map", scaling="unit"), path) == (6, 8, 6)
    np.testing.assert_allclose(computed(path, "features", "stem_relu", "map", scaling="unit"), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_photos_go_in_by_rows_and_in_each_type(tmp_path: Path, kind: int) -> None:
    nodes = [helper.make_node("Cast", ["nchw"], ["floats"], to=TensorProto.FLOAT), *NODES]
    nodes[1] = helper.make_node("Conv", ["floats", "first"], ["stem"], strides=[2, 2])
    path = small(tmp_path / "mine.onnx", nodes=[TO_NCHW, *nodes], shape=("N", SIZE, SIZE, 3), kind=kind)
    assert read_photo_input(path) == ("pixels", 3, SIZE, "raw" if kind == TensorProto.UINT8 else "")
    expected = reference(path, "features", PIXELS.astype(helper.tensor_dtype_to_np_dtype(kind)))
    np.testing.assert_allclose(computed(path), expected, rtol=1e-4)


def test_model_of_open_size_takes_the_asked_one(tmp_path: Path) -> None:
    path = small(tmp_path / "mine.onnx", shape=("batch", "num_channels", "height", "width"))
    np.testing.assert_allclose(computed(path), reference(path, "features", nchw()), rtol=1e-4)
    assert measure_widths(backbone_of(size=40), path) == (6,)


def with_text(path: Path) -> Path:
    """A model of photos and of words, as CLIP's two towers in one file."""
    graph = graph_of()
    graph.input.append(helper.make_tensor_value_info("words", TensorProto.FLOAT, ["N", 6]))
    graph.node.append(helper.make_node("Mul", ["features", "words"], ["product"]))
    graph.output.append(helper.make_tensor_value_info("product", TensorProto.FLOAT, None))
    return write(model_of(graph), path)


def test_model_of_photos_and_words_gives_the_layers_that_need_no_words(tmp_path: Path) -> None:
    path = with_text(tmp_path / "mine.onnx")
    np.testing.assert_allclose(computed(path, "features"), reference(small(path), "features", nchw()), rtol=1e-4)
    with pytest.raises(BackboneError, match="computes product from pixels, words, and photos alone can be given"):
        computed(with_text(path), "product")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("", r"has several outputs\. Name one with --bottleneck-tensor: the outputs features, map"),
        ("nowhere", r"has no tensor 'nowhere'\. Name one"),
        ("pixels", "has no tensor 'pixels'"),
    ],
)
def test_layer_that_is_not_there_is_an_error_that_lists_the_outputs(tmp_path: Path, layer: str, message: str) -> None:
    path = small(tmp_path / "mine.onnx", outputs=("map", "features"))
    with pytest.raises(SettingError, match=message):
        computed(path, layer)


def tokens(path: Path, count: int, width: int = 5) -> Path:
    """Write a network whose output is tokens, [1, count, width], which depend on the photo."""
    weights = np.random.default_rng(4).normal(size=(3 * SIZE * SIZE, count * width), scale=1e-3).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Reshape", ["product", "shape"], ["tokens"]),
    ]
    shape = np.array([-1, count, width])
    return small(path, nodes=nodes, weights={"weights": weights, "shape": shape}, outputs=("tokens",))


@pytest.mark.parametrize(("count", "extra"), [(17, 1), (16, 0), (18, 2), (21, 5), (50, 1)])
def test_tokens_are_the_class_token_and_the_mean_of_the_patches(tmp_path: Path, count: int, extra: int) -> None:
    path = tokens(tmp_path / "mine.onnx", count)
    expected = reference(path, "tokens", nchw())
    patches = expected[:, extra:].mean(1)
    both = np.concatenate([expected[:, 0], patches], 1) if extra else patches
    np.testing.assert_allclose(computed(path), both, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [19, 22, 24])
def test_other_numbers_of_tokens_are_no_transformer_s(tmp_path: Path, count: int) -> None:
    with pytest.raises(BackboneError, match=rf"f32 of shape \[1,{count},5\] at tokens"):
        computed(tokens(tmp_path / "mine.onnx", count))


def test_feature_map_by_rows_is_averaged_over_the_picture(tmp_path: Path) -> None:
    nodes = [*NODES, helper.make_node("Transpose", ["map"], ["rows"], perm=[0, 2, 3, 1])]
    path = small(tmp_path / "mine.onnx", nodes=nodes, outputs=("rows",))
    np.testing.assert_allclose(computed(path), reference(path, "rows", nchw()).mean((1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("ReduceMean", ["map"], ["x"], axes=[0, 2, 3], keepdims=0), r"f32 of shape \[6\] at x"),
        (helper.make_node("Slice", ["map", "zero", "one", "two"], ["x"]), r"of shape \[1,6,1,5\]"),
        (helper.make_node("Unsqueeze", ["map", "zero"], ["x"]), r"\[1,1,6,5,5\]"),
        (helper.make_node("Shape", ["map"], ["x"]), "i64 of shape"),
        (helper.make_node("NonZero", ["map"], ["x"]), "i64 of shape"),
        (helper.make_node("Transpose", ["pixels"], ["x"], perm=[0, 2, 1, 3]), r"\[1,24,3,24\]"),
        (
            helper.make_node("Nonsense", ["map"], ["x"]),
            "OpenVINO cannot compute .*No conversion rule found for operations: Nonsense-17",
        ),
        (helper.make_node("Identity", ["first"], ["x"]), "computes first from nothing, and"),
        (helper.make_node("Log", ["negative"], ["x"]), "numbers that are not finite"),
    ],
)
def test_output_that_is_no_vector_of_a_photo_is_an_error(tmp_path: Path, node: Any, message: str) -> None:
    constants = {"zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    negative = helper.make_node("Sub", ["features", "large"], ["negative"])
    weights = {**WEIGHTS, **constants, "large": np.float32(1e6).reshape(1)}
    path = small(tmp_path / "mine.onnx", nodes=[*NODES, negative, node], weights=weights, outputs=("x",))
    with pytest.raises(BackboneError, match=message):
        measure_widths(backbone_of(), path)
