"""A user's own model as a backbone: what is seen in the file, what must be said, and that its bottlenecks are its."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.keras_files import build_keras
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.bottleneck.tensorflow_forward import TensorFlowForward
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.files import local
from tests.backbone.networks import SIZE, SPEC, classifier, export, export_function, freeze_model, headless, save

pytestmark = pytest.mark.slow

Array = npt.NDArray[Any]
layers = keras.layers


@pytest.fixture(scope="module")
def pixels() -> Array:
    """Four pictures, uint8 [4, 24, 24, 3]."""
    return np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)


def own(path: Path, scaling: str = "symmetric", **wishes: Any) -> Prepared:
    return prepare_own(BackboneRequest(str(path), scaling=scaling, **wishes), path)


def scaled(pixels: Array, scaling: str = "symmetric") -> Array:
    return np.asarray(SCALINGS[scaling].apply(pixels.astype(np.float32)))


def features(model: Any, scaled: Array, layer: str = "features") -> Array:
    """What the model itself makes of scaled pixels, up to a layer."""
    return np.asarray(headless(model, layer)(scaled.astype(np.float32), training=False))


def assert_makes(prepared: Prepared, pixels: Array, expected: Array) -> None:
    """Its frozen graph makes these bottlenecks, and not the same for all photos."""
    assert prepared.backbone.width == expected.shape[1]
    np.testing.assert_allclose(TensorFlowForward.load(prepared)(pixels), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - expected[0]).max() > 1e-3


@pytest.mark.parametrize("name", ["model.h5", "photo.jpg", "folder"])
def test_other_files_and_folders_are_an_error_that_lists_what_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    with pytest.raises(SettingError, match=r"can be a backbone\. Give the folder of a SavedModel.*\.keras"):
        own(path)


def as_graph(model: Any, folder: Path) -> Path:
    return freeze_model(model, folder)[0]


@pytest.mark.parametrize(
    ("write", "kind", "wishes"),
    [
        (save, "keras_file", {}),
        (export, "saved_model", {}),
        (as_graph, "frozen_graph", {"input_tensor": "pixels:0", "bottleneck_tensor": "Identity"}),
    ],
)
@pytest.mark.parametrize("layer", ["features", "map"])
def test_every_kind_of_model_makes_its_own_bottlenecks_and_averages_feature_maps(
    tmp_path: Path, pixels: Array, write: Callable[[Any, Path], Path], kind: str, wishes: dict[str, str], layer: str
) -> None:
    model = classifier()
    prepared = own(write(headless(model, layer), tmp_path), **wishes)
    backbone = prepared.backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("mine", kind, SIZE)
    assert (backbone.scaling, backbone.resampling, backbone.crop) == ("symmetric", "bilinear", "centre")
    assert backbone.weights_sha256 == weights_sha256(local(prepared.weights))
    assert_makes(prepared, pixels, features(model, scaled(pixels)))


def test_every_kind_of_model_gives_the_averages_of_several_layers_side_by_side(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    several = headless(model, ("features", "normed", "map"))
    graph, outputs = freeze_model(several, tmp_path)  # in the order of their names
    maps = features(model, scaled(pixels), "normed")
    side_by_side = np.concatenate([features(model, scaled(pixels)), maps.mean((1, 2))], axis=1)
    for prepared in (
        whole := own(save(model, tmp_path), bottleneck_tensor="features,normed"),
        own(export(several, tmp_path), bottleneck_tensor="features, normed"),
        own(graph, input_tensor="pixels:0", bottleneck_tensor=f"{outputs[0]},{outputs[2]}"),
    ):
        assert prepared.backbone.widths == (6, 8)
        assert_makes(prepared, pixels, side_by_side)
    last = own(local(whole.weights), bottleneck_tensor="features,normed", layers="last")
    assert last.backbone == whole.backbone.last_layer


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


VARIABLES = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("write", "harm"),
    [
        (save, cut_short),
        (save, flip),
        (export, lambda folder: cut_short(folder / VARIABLES)),
        (export, lambda folder: shutil.rmtree(folder / "variables")),
        (as_graph, cut_short),
    ],
)
def test_damaged_model_is_an_error_that_names_it(
    tmp_path: Path, write: Callable[[Any, Path], Path], harm: Callable[[Path], object]
) -> None:
    path = write(classifier(), tmp_path)
    harm(path)
    with pytest.raises(BackboneError, match=rf"{path}.* damaged"):
        own(path, input_tensor="pixels:0" if path.suffix == ".pb" else "", bottleneck_tensor="features")


# .keras files


def test_keras_file_gets_its_pixels_in_any_scaling_and_loses_its_last_dense_and_softmax(
    tmp_path: Path, pixels: Array
) -> None:
    model = classifier()
    prepared = own(save(model, tmp_path))
    for scaling in SCALINGS:
        built = build_keras(replace(prepared.backbone, scaling=scaling), local(prepared.weights))
        expected = features(model, scaled(pixels, scaling))
        np.testing.assert_allclose(built(pixels), expected, rtol=1e-3, atol=1e-4, err_msg=scaling)
    ended = keras.Sequential([model, layers.Dense(7), layers.Softmax()])
    assert own(save(ended, tmp_path)).backbone.width == 5


class Blur(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A layer of another package."""


def two_inputs() -> Any:
    inputs = [keras.Input((SIZE, SIZE, 3)), keras.Input((2,))]
    return keras.Model(inputs, layers.Concatenate()([layers.Flatten()(each) for each in inputs]))


def two_outputs() -> Any:
    model = classifier()
    return keras.Model(model.inputs[0], [model.outputs[0], model.get_layer("map").output])


def flat(*shape: int) -> Any:
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(3)])


def rows_of_pixels() -> Any:
    reshape = layers.Reshape((SIZE, -1), name="rows")
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), reshape, layers.Flatten(name="flat")])


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"input_tensor": "pixels:0"}, "--input-tensor is for frozen graphs"),
        ({"bottleneck_tensor": "features,features"}, "names features twice. Name it once"),
        ({"bottleneck_tensor": ","}, "an empty name before or after a comma"),
        ({"bottleneck_tensor": "features,nowhere"}, "has no layer 'nowhere'"),
        ({"bottleneck_tensor": "nowhere,features"}, "has no layer 'nowhere'"),
        ({"bottleneck_tensor": "pool"}, r"has no layer 'pool'\. .*normed, map, features, dense"),
        ({"size": 32}, f"--image-size is 32, .* takes {SIZE} pixels only"),
    ],
)
def test_parameters_that_do_not_go_with_a_keras_file_are_refused(
    tmp_path: Path, wishes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        own(save(classifier(), tmp_path), **wishes)


@pytest.mark.parametrize(
    ("build", "wishes", "message"),
    [
        (rows_of_pixels, {"bottleneck_tensor": "flat,rows"}, r"gives \(2, 24, 72\) numbers for two pictures at rows"),
        (lambda: classifier(size=None), {"size": 2}, "fails on photos of 2 pixels"),
        (lambda: flat(20, 24, 3), {}, r"shape \[None, .*\], but \[None, size, size, 3\] is needed"),
        (lambda: flat(24, 24, 1), {}, r"shape \[None, .*\], but \[None, size, size, 3\] is needed"),
        (lambda: flat(100), {}, r"shape \[None, .*\], but \[None, size, size, 3\] is needed"),
        (two_inputs, {}, "does not take one batch of photos"),
        (
            lambda: classifier(layers.Lambda(lambda x: x * 2, name="double")),
            {},
            r"Lambda layer 'double', which runs code.*model\.export",
        ),
        (
            lambda: classifier(Blur(name="soft")),
            {},
            r"layer 'soft' 'tests\..*Blur', of which Keras makes no network\. Save",
        ),
    ],
)
def test_keras_file_that_is_no_backbone_is_an_error_that_says_why(
    tmp_path: Path, build: Callable[[], Any], wishes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BackboneError, match=message):
        own(save(build(), tmp_path), **wishes)


def test_several_outputs_are_an_error_unless_a_layer_is_named(tmp_path: Path) -> None:
    path = save(two_outputs(), tmp_path)
    assert own(path, bottleneck_tensor="features").backbone.width == 6
    with pytest.raises(SettingError, match=r"has 2 outputs\. Name a layer with --bottleneck-tensor: .*map, features"):
        own(path)


def test_open_size_must_be_given_and_a_fixed_one_may_be(tmp_path: Path) -> None:
    assert own(save(classifier(), tmp_path), size=SIZE).backbone.size == SIZE
    path = save(classifier(size=None), tmp_path)
    assert own(path, size=40).backbone.size == 40
    with pytest.raises(SettingError, match="leaves the size of photos open"):
        own(path)


@pytest.mark.parametrize(
    "first",
    [
        layers.Rescaling(1 / 127.5, -1),
        layers.Normalization(mean=[120, 115, 100], variance=[3000, 3000, 3500]),
        keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.RandomFlip(), layers.Rescaling(1 / 255)]),
    ],
)
def test_model_that_scales_pixels_by_itself_needs_no_scaling(tmp_path: Path, pixels: Array, first: Any) -> None:
    model = classifier(first)
    prepared = own(save(model, tmp_path), "auto")
    assert prepared.backbone.scaling == "raw"
    assert_makes(prepared, pixels, features(model, pixels))


@pytest.mark.parametrize(
    "first", [(), (layers.Rescaling(2.0, -1.0),), (layers.Conv2D(3, 1, name="first"), layers.Rescaling(0.01))]
)
def test_model_that_does_not_is_an_error_that_explains_the_scalings(tmp_path: Path, first: tuple[Any, ...]) -> None:
    with pytest.raises(SettingError, match=r"Give --scaling .*raw: x \(.*unit: x / 255 \(.*inception: .*caffe: "):
        own(save(classifier(*first), tmp_path), "auto")


def test_half_precision_is_passed_on_as_float32(tmp_path: Path, pixels: Array) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        path = save(classifier(), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert TensorFlowForward.load(own(path))(pixels).dtype == np.float32


def test_untrained_model_has_other_weights_but_knows_its_pixels(tmp_path: Path, pixels: Array) -> None:
    known = layers.Normalization()
    known.adapt(pixels.astype(np.float32))
    model = classifier(known)
    model.trainable = False
    prepared = own(save(model, tmp_path), "auto")
    trained, untrained = (
        build_keras(prepared.backbone, local(prepared.weights), pretrained=pretrained) for pretrained in (True, False)
    )
    assert len(trained.trainable_weights) == len(untrained.trainable_weights) == 6
    assert untrained.output_shape == trained.output_shape == (None, 6)
    first, kernel = (next(layer for layer in each.layers if layer.weights).weights for each in (trained, untrained))
    np.testing.assert_array_equal(first[0], kernel[0])
    assert float(np.abs(np.asarray(first[3]) - np.asarray(kernel[3])).max()) > 0.01
    assert 1e-4 < np.abs(np.asarray(untrained(pixels))).max() < 10


# SavedModels


def test_saved_model_may_hold_a_lambda_since_that_is_a_graph(tmp_path: Path, pixels: Array) -> None:
    model = classifier(layers.Lambda(lambda x: x * 2))
    assert_makes(own(export(headless(model), tmp_path)), pixels, features(model, scaled(pixels)))


def test_output_is_named_where_there_are_several_and_the_scaling_always(tmp_path: Path, pixels: Array) -> None:
    path = export_function(lambda x: {"mean": tf.reduce_mean(x, (1, 2)), "photos": x}, tmp_path)
    with pytest.raises(SettingError, match="does not say how to scale its pixels"):
        own(path, "auto")
    prepared = own(path, "unit", bottleneck_tensor="mean")
    assert_makes(prepared, pixels, scaled(pixels, "unit").mean((1, 2)))
    for named, message in (("", "several outputs"), ("pool", "no output 'pool'"), ("mean,pool", "no output 'pool'")):
        with pytest.raises(SettingError, match=rf"{message}\. Name one with --bottleneck-tensor: mean, photos"):
            own(path, "unit", bottleneck_tensor=named)


def test_saved_model_without_a_signature_is_called_as_a_whole(tmp_path: Path, pixels: Array) -> None:
    weights = np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32)

    class Whole(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(weights)

        @tf.function  # type: ignore[untyped-decorator]
        def __call__(self, photos: Any, training: bool = False) -> Any:
            return tf.reduce_mean(photos, (1, 2)) @ self.weights * (1000 if training else 1)

    whole = Whole()
    for training in (True, False):
        whole.__call__.get_concrete_function(SPEC, training=training)
    tf.saved_model.save(whole, str(tmp_path / "hub"), signatures={})
    assert_makes(own(tmp_path / "hub", "unit"), pixels, scaled(pixels, "unit").mean((1, 2)) @ weights)


def test_saved_model_that_cannot_be_called_is_an_error(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(BackboneError, match="has no signature serving_default, and cannot be called"):
        own(tmp_path / "empty")


@pytest.mark.parametrize(
    "spec",
    [
        tf.TensorSpec((None, SIZE, SIZE, 3), tf.uint8),
        tf.TensorSpec(None, tf.float32),
        tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32),
        tf.TensorSpec((None,), tf.string),
    ],
)
def test_saved_model_of_another_input_is_an_error(tmp_path: Path, spec: Any) -> None:
    with pytest.raises(BackboneError, match=r"\[None, size, size, 3\]"):
        own(export_function(tf.identity, tmp_path, spec))


# Frozen graphs


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        ({}, SettingError, r"placeholders: pixels:0; its last tensors: .*, \S+\.$"),
        ({"bottleneck_tensor": "pixels:0,Identity"}, BackboneError, "pixels:0 does not depend on pixels:0"),
        ({"bottleneck_tensor": "Identity,nowhere:0"}, BackboneError, "no tensor 'nowhere:0'"),
        ({"bottleneck_tensor": "Identity,Identity:0"}, SettingError, "twice. Name it once"),
    ],
)
def test_tensors_of_a_graph_that_are_not_named_or_make_no_sense_are_refused(
    tmp_path: Path, wishes: dict[str, str], error: type[Exception], message: str
) -> None:
    named = {"input_tensor": "pixels:0", **wishes} if wishes else {}
    with pytest.raises(error, match=message):
        own(as_graph(headless(classifier()), tmp_path), **named)


def test_saved_model_s_file_given_for_its_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="of a SavedModel, give the folder"):
        own(export_function(tf.identity, tmp_path) / "saved_model.pb")
