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
from tasks.bottleneck.float_forward import FloatForward
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tasks.storage.files import local

# Keras 3.15 makes numpy arrays of its variables in a way that numpy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 24
Array = npt.NDArray[Any]
layers = keras.layers


@pytest.fixture(scope="module")
def pixels() -> Array:
    """Four pictures, uint8 [4, 24, 24, 3]."""
    return np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)


def classifier(*first: Any, size: int | None = SIZE) -> Any:
    """A small network: the first layers, two convolutions, their average, called `features`, and 5 classes."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *first,
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.BatchNormalization(name="normed"),
            layers.Conv2D(6, 3, activation="relu", name="map"),
            layers.GlobalAveragePooling2D(name="features"),
            layers.Dense(5, activation="softmax"),
        ]
    )


def features(model: Any, scaled: Array, layer: str = "features") -> Array:
    """What the model itself makes of scaled pixels, up to a layer."""
    inner = keras.Model(model.inputs[0], model.get_layer(layer).output)
    return np.asarray(inner(scaled.astype(np.float32), training=False))


def own(path: Path, scaling: str = "symmetric", **wishes: Any) -> Prepared:
    return prepare_own(BackboneRequest(str(path), scaling=scaling, **wishes), path)


def save(model: Any, folder: Path, name: str = "mine.keras") -> Path:
    model.save(folder / name)
    return folder / name


def export(model: Any, folder: Path) -> Path:
    model.export(folder / "mine", verbose=False)
    return folder / "mine"


def export_function(folder: Path, call: Callable[[Any], Any], spec: Any) -> Path:
    """Write a SavedModel of a plain function."""
    module = tf.Module()
    module.function = tf.function(call, input_signature=[spec])
    tf.saved_model.save(module, str(folder / "plain"), {"serving_default": module.function})
    return folder / "plain"


def graph(model: Any, folder: Path) -> Path:
    """Write a model as a frozen graph from `pixels:0`."""
    function = tf.function(lambda pixels: model(pixels, training=False))
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, SIZE, SIZE, 3), name="pixels")))
    path = folder / "mine.pb"
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return path


def scaled(pixels: Array, scaling: str = "symmetric") -> Array:
    return np.asarray(SCALINGS[scaling].apply(pixels.astype(np.float32)))


def assert_makes(prepared: Prepared, pixels: Array, expected: Array) -> None:
    """Its frozen graph makes these bottlenecks, and not the same for all photos."""
    assert prepared.backbone.width == expected.shape[1]
    np.testing.assert_allclose(FloatForward(prepared, len(pixels))(pixels), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - expected[0]).max() > 1e-3


# What a path may be


@pytest.mark.parametrize("name", ["model.h5", "photo.jpg", "folder"])
def test_other_files_and_folders_are_an_error_that_lists_what_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    with pytest.raises(
        SettingError, match=r"no model that can be a backbone\. Give the folder of a SavedModel.*\.keras"
    ):
        own(path)


def test_input_tensor_is_refused_but_for_a_graph(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--input-tensor is for frozen graphs"):
        own(save(classifier(), tmp_path), input_tensor="pixels:0")


# .keras files


def test_keras_file_makes_the_bottlenecks_below_its_last_dense(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    prepared = own(save(model, tmp_path))
    backbone = prepared.backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("mine", "keras_file", SIZE)
    assert (backbone.scaling, backbone.resampling, backbone.crop) == ("symmetric", "bilinear", "centre")
    assert backbone.weights_sha256 == weights_sha256(local(prepared.weights))
    assert_makes(prepared, pixels, features(model, scaled(pixels)))


def test_keras_file_gets_its_pixels_in_any_scaling(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    prepared = own(save(model, tmp_path))
    for scaling in SCALINGS:
        built = build_keras(replace(prepared.backbone, scaling=scaling), local(prepared.weights))
        expected = features(model, scaled(pixels, scaling))
        np.testing.assert_allclose(built(pixels), expected, rtol=1e-3, atol=1e-4, err_msg=scaling)


def test_softmax_after_the_last_dense_is_left_out_with_it(tmp_path: Path) -> None:
    model = keras.Sequential([classifier(), layers.Dense(7), layers.Softmax()])
    assert own(save(model, tmp_path)).backbone.width == 5


def test_feature_map_is_averaged(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    without_top = keras.Model(model.inputs[0], model.get_layer("map").output)
    assert_makes(own(save(without_top, tmp_path)), pixels, features(model, scaled(pixels)))


def test_layer_that_is_named_gives_the_bottleneck(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    prepared = own(save(model, tmp_path), bottleneck_tensor="normed")
    assert_makes(prepared, pixels, features(model, scaled(pixels), "normed").mean((1, 2)))


def test_every_kind_of_model_gives_the_averages_of_several_layers_side_by_side(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    several = keras.Model(
        model.inputs[0], {name: model.get_layer(name).output for name in ("features", "normed", "map")}
    )
    expected = [features(model, scaled(pixels), name) for name in ("features", "normed")]
    side_by_side = np.concatenate([expected[0], expected[1].mean((1, 2))], axis=1)
    function = tf.function(lambda pixels: several(pixels, training=False))
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, SIZE, SIZE, 3), name="pixels")))
    (tmp_path / "mine.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    tensors = {output.shape[1:]: output.name for output in frozen.outputs}
    found = [
        own(save(model, tmp_path), bottleneck_tensor="features,normed"),
        own(export(several, tmp_path), bottleneck_tensor="features, normed"),
        own(
            tmp_path / "mine.pb",
            input_tensor="pixels:0",
            bottleneck_tensor=f"{tensors[(6,)]},{next(name for shape, name in tensors.items() if shape[-1] == 8)}",
        ),
    ]
    for prepared in found:
        assert prepared.backbone.widths == (6, 8)
        assert_makes(prepared, pixels, side_by_side)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("features,features", "names features twice. Name it once"),
        ("features,", "an empty name before or after a comma"),
        (",", "an empty name before or after a comma"),
        ("features,nowhere", "has no layer 'nowhere'"),
        ("nowhere,features", "has no layer 'nowhere'"),
    ],
)
def test_names_of_layers_that_make_no_sense_are_refused(tmp_path: Path, named: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        own(save(classifier(), tmp_path), bottleneck_tensor=named)


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ("pixels:0,{features}", BackboneError, "pixels:0 does not depend on pixels:0"),
        ("{features},nowhere:0", BackboneError, "no tensor 'nowhere:0'"),
        ("{features},{features}:0", SettingError, "twice. Name it once"),
    ],
)
def test_tensors_of_a_graph_that_make_no_sense_are_refused(
    tmp_path: Path, named: str, error: type[Exception], message: str
) -> None:
    model = classifier()
    path = graph(keras.Model(model.inputs[0], model.get_layer("features").output), tmp_path)
    tensors = named.format(features="Identity")
    with pytest.raises(error, match=message):
        own(path, input_tensor="pixels:0", bottleneck_tensor=tensors)


def test_unknown_output_of_a_saved_model_is_refused_beside_a_known_one(tmp_path: Path) -> None:
    model = classifier()
    path = export(keras.Model(model.inputs[0], {"vector": model.get_layer("features").output}), tmp_path)
    with pytest.raises(SettingError, match=r"has no output 'map'\. Name one with --bottleneck-tensor: vector"):
        own(path, bottleneck_tensor="vector,map")


def test_last_layer_alone_is_the_one_that_is_named_first(tmp_path: Path) -> None:
    prepared = own(save(classifier(), tmp_path), bottleneck_tensor="features,normed", layers="last")
    assert (prepared.backbone.layers, prepared.backbone.widths) == (("features",), (6,))


def test_layer_that_gives_no_vector_is_named(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), layers.Reshape((SIZE, -1), name="rows"), layers.Flatten(name="flat")]
    )
    with pytest.raises(BackboneError, match=r"gives \(2, 24, 72\) numbers for two pictures at rows where one vector"):
        own(save(model, tmp_path), bottleneck_tensor="flat,rows")


def test_layer_that_is_not_there_is_an_error_that_lists_the_last_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"has no layer 'pool'\. .*normed, map, features, dense"):
        own(save(classifier(), tmp_path), bottleneck_tensor="pool")


def test_several_outputs_are_an_error_unless_a_layer_is_named(tmp_path: Path) -> None:
    model = classifier()
    path = save(keras.Model(model.inputs[0], [model.outputs[0], model.get_layer("map").output]), tmp_path)
    assert own(path, bottleneck_tensor="features").backbone.width == 6
    with pytest.raises(SettingError, match=r"has 2 outputs\. Name a layer with --bottleneck-tensor: .*map, features"):
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


def test_fixed_size_is_the_model_s_and_no_other(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path)
    assert own(path, size=SIZE).backbone.size == SIZE
    with pytest.raises(SettingError, match=f"--image-size is 32, .* takes {SIZE} pixels only"):
        own(path, size=32)


def test_open_size_must_be_given(tmp_path: Path) -> None:
    path = save(classifier(size=None), tmp_path)
    assert own(path, size=40).backbone.size == 40
    with pytest.raises(SettingError, match="leaves the size of photos open"):
        own(path)


def test_size_that_the_layers_do_not_take_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="fails on photos of 2 pixels"):
        own(save(classifier(size=None), tmp_path), size=2)


@pytest.mark.parametrize("shape", [(20, 24, 3), (24, 24, 1), (100,)])
def test_input_that_is_no_square_photo_is_an_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(BackboneError, match=r"shape \[None, .*\], but \[None, size, size, 3\] is needed"):
        own(save(model, tmp_path))


def test_two_inputs_are_an_error(tmp_path: Path) -> None:
    inputs = [keras.Input((SIZE, SIZE, 3)), keras.Input((2,))]
    model = keras.Model(inputs, layers.Concatenate()([layers.Flatten()(each) for each in inputs]))
    with pytest.raises(BackboneError, match="does not take one batch of photos"):
        own(save(model, tmp_path))


def test_half_precision_is_passed_on_as_float32(tmp_path: Path, pixels: Array) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        path = save(classifier(), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert FloatForward(own(path), 4)(pixels).dtype == np.float32


def test_lambda_is_refused_by_its_name(tmp_path: Path) -> None:
    path = save(classifier(layers.Lambda(lambda x: x * 2, name="double")), tmp_path)
    with pytest.raises(BackboneError, match=r"Lambda layer 'double', which runs code.*model\.export"):
        own(path)


def test_layer_of_another_package_is_refused_by_its_name(tmp_path: Path) -> None:
    class Blur(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        pass

    with pytest.raises(BackboneError, match=r"layer 'soft' 'tests\..*Blur', of which Keras makes no network\. Save"):
        own(save(classifier(Blur(name="soft")), tmp_path))


def test_untrained_model_has_other_weights_but_knows_its_pixels(tmp_path: Path, pixels: Array) -> None:
    known = layers.Normalization()
    known.adapt(pixels.astype(np.float32))
    model = classifier(known)
    model.trainable = False
    prepared = own(save(model, tmp_path), "auto")
    trained = build_keras(prepared.backbone, local(prepared.weights))
    untrained = build_keras(prepared.backbone, local(prepared.weights), pretrained=False)
    assert len(trained.trainable_weights) == len(untrained.trainable_weights) == 6
    assert untrained.output_shape == trained.output_shape == (None, 6)
    first, kernel = (next(layer for layer in each.layers if layer.weights).weights for each in (trained, untrained))
    np.testing.assert_array_equal(first[0], kernel[0])
    assert float(np.abs(np.asarray(first[3]) - np.asarray(kernel[3])).max()) > 0.01
    vectors = np.asarray(untrained(pixels))
    assert 1e-4 < np.abs(vectors).max() < 10


# SavedModels


def test_saved_model_makes_its_own_bottlenecks(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    prepared = own(export(keras.Model(model.inputs[0], model.get_layer("map").output), tmp_path))
    backbone = prepared.backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("mine", "saved_model", SIZE)
    assert backbone.weights_sha256 == weights_sha256(local(prepared.weights))
    assert_makes(prepared, pixels, features(model, scaled(pixels)))


def test_saved_model_may_hold_a_lambda_since_that_is_a_graph(tmp_path: Path, pixels: Array) -> None:
    model = classifier(layers.Lambda(lambda x: x * 2))
    without_top = keras.Model(model.inputs[0], model.get_layer("features").output)
    assert_makes(own(export(without_top, tmp_path)), pixels, features(model, scaled(pixels)))


SPEC = tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, name="photos")


def test_output_is_named_where_there_are_several(tmp_path: Path, pixels: Array) -> None:
    path = export_function(tmp_path, lambda x: {"mean": tf.reduce_mean(x, (1, 2)), "photos": x}, SPEC)
    prepared = own(path, "unit", bottleneck_tensor="mean")
    assert_makes(prepared, pixels, scaled(pixels, "unit").mean((1, 2)))
    with pytest.raises(SettingError, match=r"several outputs\. Name one with --bottleneck-tensor: mean, photos"):
        own(path, "unit")
    with pytest.raises(SettingError, match=r"no output 'pool'\. Name one with --bottleneck-tensor: mean, photos"):
        own(path, "unit", bottleneck_tensor="pool")


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
    prepared = own(tmp_path / "hub", "unit")
    assert_makes(prepared, pixels, scaled(pixels, "unit").mean((1, 2)) @ weights)


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
        own(export_function(tmp_path, tf.identity, spec))


def test_saved_model_says_nothing_of_its_scaling(tmp_path: Path) -> None:
    path = export_function(tmp_path, tf.identity, SPEC)
    with pytest.raises(SettingError, match="does not say how to scale its pixels"):
        own(path, "auto")


# Frozen graphs


def test_frozen_graph_makes_its_own_bottlenecks(tmp_path: Path, pixels: Array) -> None:
    model = classifier()
    path = graph(keras.Model(model.inputs[0], model.get_layer("features").output), tmp_path)
    with pytest.raises(SettingError, match=r"placeholders: pixels:0; its last tensors: .*, (\S+)\.$") as caught:
        own(path)
    last = str(caught.value).rpartition(" ")[2].rstrip(".")
    prepared = own(path, input_tensor="pixels:0", bottleneck_tensor=last)
    backbone = prepared.backbone
    assert (backbone.name, backbone.kind, backbone.size) == ("mine", "frozen_graph", SIZE)
    assert_makes(prepared, pixels, features(model, scaled(pixels)))


def test_saved_model_s_file_given_for_its_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = export_function(tmp_path, tf.identity, SPEC) / "saved_model.pb"
    with pytest.raises(BackboneError, match="of a SavedModel, give the folder"):
        own(path)


# Damage


def damage(path: Path) -> None:
    """Cut a file in half, or the variables of a SavedModel."""
    if path.is_dir():
        path = path / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("write", [save, export, graph])
def test_damaged_model_is_an_error_that_names_it(tmp_path: Path, write: Callable[[Any, Path], Path]) -> None:
    path = write(classifier(), tmp_path)
    damage(path)
    with pytest.raises(BackboneError, match=rf"{path}.* damaged"):
        own(path, input_tensor="pixels:0" if path.suffix == ".pb" else "", bottleneck_tensor="features")


def test_flipped_byte_in_a_keras_file_is_an_error(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(BackboneError, match=f"{path} is damaged"):
        own(path)


def test_saved_model_without_its_variables_is_an_error(tmp_path: Path) -> None:
    path = export(classifier(), tmp_path)
    shutil.rmtree(path / "variables")
    with pytest.raises(BackboneError, match="is damaged"):
        own(path)
