"""A `.keras` file as a backbone: its input, its parameters, its training, and files that are no backbone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.keras_files import build_keras
from tasks.backbone.scaling import SCALINGS
from tasks.bottleneck.tensorflow_forward import TensorFlowForward
from tasks.errors import BackboneError, SettingError
from tasks.runtime.tensorflow_import import keras
from tasks.storage.files import local
from tests.backbone.networks import PIXELS, SIZE, assert_makes, classifier, features, own, save, scaled

pytestmark = pytest.mark.slow

layers = keras.layers


def test_keras_file_gets_its_pixels_in_any_scaling_and_loses_its_last_dense_and_softmax(tmp_path: Path) -> None:
    model = classifier()
    prepared = own(save(model, tmp_path))
    for scaling in SCALINGS:
        built = build_keras(replace(prepared.backbone, scaling=scaling), local(prepared.weights))
        expected = features(model, scaled(scaling))
        np.testing.assert_allclose(built(PIXELS), expected, rtol=1e-3, atol=1e-4, err_msg=scaling)
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
def test_model_that_scales_pixels_by_itself_needs_no_scaling(tmp_path: Path, first: Any) -> None:
    model = classifier(first)
    prepared = own(save(model, tmp_path), "auto")
    assert prepared.backbone.scaling == "raw"
    assert_makes(prepared, features(model, PIXELS))


@pytest.mark.parametrize(
    "first", [(), (layers.Rescaling(2.0, -1.0),), (layers.Conv2D(3, 1, name="first"), layers.Rescaling(0.01))]
)
def test_model_that_does_not_is_an_error_that_explains_the_scalings(tmp_path: Path, first: tuple[Any, ...]) -> None:
    with pytest.raises(SettingError, match=r"Give --scaling .*raw: x \(.*unit: x / 255 \(.*inception: .*caffe: "):
        own(save(classifier(*first), tmp_path), "auto")


def test_half_precision_is_passed_on_as_float32(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        path = save(classifier(), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    assert TensorFlowForward.load(own(path))(PIXELS).dtype == np.float32


def test_untrained_model_has_other_weights_but_knows_its_pixels(tmp_path: Path) -> None:
    known = layers.Normalization()
    known.adapt(PIXELS.astype(np.float32))
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
    assert 1e-4 < np.abs(np.asarray(untrained(PIXELS))).max() < 10
