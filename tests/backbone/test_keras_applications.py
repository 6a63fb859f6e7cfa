"""Models of keras.applications: any by its name, with its own preprocessing, over weights from Keras or from a file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.keras_applications import _network, _preprocess, build, default_size, model_names
from tasks.backbone.layers import stable_names
from tasks.backbone.load import load_layers
from tasks.errors import BackboneError, SettingError
from tasks.keys import file_sha256
from tasks.runtime.tensorflow_import import keras
from tests.backbone.keras_models import PIXELS, SIZE, SMALL, Array, assert_close, network, prepared, see, written

pytestmark = pytest.mark.slow


def scale(module: str) -> Array:
    return np.asarray(getattr(keras.applications, module).preprocess_input(PIXELS.astype(np.float32)))


@pytest.fixture(scope="module")
def headless() -> Any:
    return network("MobileNet")


@pytest.fixture(scope="module")
def other() -> Any:
    return network("MobileNetV3Small")


@pytest.fixture(scope="module")
def small(headless: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("weights")
    return prepared(folder / "folder", weights=written(headless, folder / "small.weights.h5"))


def test_every_model_of_keras_is_known_and_has_a_preprocessing_of_its_own_module() -> None:
    names = model_names()
    assert {"ConvNeXtTiny", "InceptionV3", "MobileNetV3Large", "NASNetMobile", "ResNet50V2", "VGG16"} <= set(names)
    assert len(names) >= 38
    black = {name: float(_preprocess(name)(np.zeros((1, 1, 1, 3), np.float32))[0, 0, 0, 0]) for name in names}
    assert black["InceptionV3"] == -1
    assert black["ResNet50"] == pytest.approx(-103.939)
    assert black["DenseNet201"] == pytest.approx(-0.485 / 0.229)
    assert black["EfficientNetB7"] == 0


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("inceptionv3", 0, "no model 'inceptionv3'; similar names are .*keras:InceptionV3.*https://keras.io/api/app"),
        ("Inception", 0, "no model 'Inception'; similar names are .*keras:InceptionV3.*https://keras.io/api/app"),
        ("mobilenet", 0, "no model 'mobilenet'; similar names are .*keras:MobileNet.*https://keras.io/api/app"),
        ("", 0, r"no model ''\. Give keras:<Name> with an exact name from the list at https://keras.io/api/app"),
        ("InceptionV3", 74, r"--image-size 74 does not go with keras:InceptionV3 .*at least 75x75"),
    ],
)
def test_unknown_name_and_too_small_size_are_errors_that_name_alternatives(
    tmp_path: Path, name: str, size: int, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        prepared(tmp_path, f"keras:{name}", size=size)


@pytest.mark.parametrize(("name", "size"), [("MobileNet", 224), ("Xception", 299), ("MobileNetV3Small", 224)])
def test_default_size_is_the_model_s_own(name: str, size: int) -> None:
    assert default_size(name) == size


def test_backbone_is_described_by_the_model_and_its_file(small: Prepared, tmp_path: Path) -> None:
    backbone = small.backbone
    assert (backbone.name, backbone.kind, backbone.model) == (SMALL, "keras_application", "MobileNet")
    assert (backbone.size, backbone.scaling) == (SIZE, "own")
    assert (backbone.layers[0], backbone.widths[0]) == ("", 1024)
    assert (backbone.resampling, backbone.crop) == ("bilinear", "centre")
    assert backbone.weights_sha256 == file_sha256(small.weights)
    last = prepared(tmp_path, weights=small.weights, size=0, layers="last").backbone
    assert last == replace(backbone.last_layer, size=224) != backbone, "the model's own size where none is given"


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("MobileNet", "mobilenet"),  # scaled to -1 to 1
        ("DenseNet121", "densenet"),  # by ImageNet's mean and deviation
        ("ResNet50", "resnet"),  # BGR, less ImageNet's mean
        ("MobileNetV3Small", "mobilenet_v3"),  # scaled by a layer of its own
    ],
)
def test_bottlenecks_are_the_network_s_of_keras_s_own_scaling(small: Prepared, name: str, module: str) -> None:
    built, scaled = build(replace(small.backbone.last_layer, model=name), None), scale(module)
    (network_,) = [layer for layer in built.layers if isinstance(layer, keras.Model)]
    inner = see(network_, scaled)
    assert_close(built(PIXELS, training=False), inner(scaled, training=False))


@pytest.mark.parametrize(
    ("ending", "classes"),
    [(".weights.h5", False), (".weights.h5", True), (".h5", False), (".h5", True), (".keras", True)],
)
def test_weights_come_from_any_file_of_keras_with_or_without_classes(
    tmp_path: Path, small: Prepared, headless: Any, ending: str, classes: bool
) -> None:
    model = network("MobileNet", top=True) if classes else headless
    file = written(model, tmp_path / f"given{ending}")
    built = build(small.backbone, file)
    assert 100 < len(built.weights) == len(model.weights) - (2 if classes else 0)
    for mine, theirs in zip(built.weights, model.weights, strict=not classes):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_layers_are_those_of_the_same_names_however_often_keras_has_numbered_others(tmp_path: Path, name: str) -> None:
    size, file = 128, tmp_path / "own.weights.h5"
    large = PIXELS.repeat(4, axis=1).repeat(4, axis=2)[:2].astype(np.float32)
    see(_network(name, size), _preprocess(name)(large.copy())).save_weights(file)
    first, second = (prepared(tmp_path, f"keras:{name}", file, size) for _ in range(2))
    assert first == second
    assert len(first.backbone.layers) == 4
    # `prepare` clears what Keras has counted.
    load_layers(first)
    keras.layers.Activation("relu")
    network_ = _network(name, size)
    network_.load_weights(file)
    named = stable_names(network_)
    maps = keras.Model(network_.input, [named[layer].output for layer in first.backbone.layers[1:]])
    scaled = _preprocess(name)(large.copy())
    made = load_layers(first)(large)
    assert_close(np.asarray(made[0]), np.asarray(network_(scaled, training=False)))
    for got, expected in zip(made[1:], maps(scaled, training=False), strict=True):
        assert_close(np.asarray(got), np.asarray(expected).mean((1, 2)))
    assert tuple(part.shape[1] for part in made) == first.backbone.widths


def test_model_without_weights_is_random_and_can_be_trained(small: Prepared, headless: Any) -> None:
    model = build(small.backbone.last_layer, None)
    assert model.input_shape == (None, SIZE, SIZE, 3)
    assert model.output_shape == (None, 1024)
    assert len(model.trainable_weights) == len(headless.trainable_weights)
    assert np.abs(np.asarray(model.weights[0]) - np.asarray(headless.weights[0])).max() > 0.01


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_weights_that_are_damaged_or_of_another_network_are_an_error_that_names_the_file(
    tmp_path: Path, small: Prepared, other: Any, ending: str
) -> None:
    whole, cut, flipped = (tmp_path / f"{name}{ending}" for name in ("other", "cut", "flipped"))
    written(other, whole)
    cut.write_bytes(small.weights.read_bytes()[:100_000])
    flipped.write_bytes(small.weights.read_bytes().replace(b"conv2d", b"conv3d"))
    for file in (whole, cut, flipped):
        with pytest.raises(
            BackboneError, match=rf"{file} are damaged, or are not those of keras\.applications\.MobileNet \("
        ):
            build(small.backbone, file)


def test_file_of_another_kind_is_an_error_that_lists_the_endings(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.touch()
    with pytest.raises(BackboneError, match=r"its name ends in none of \.weights\.h5, \.h5, \.keras"):
        prepared(tmp_path, weights=file)
