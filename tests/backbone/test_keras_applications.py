"""Models of keras.applications: any by its name, with its own preprocessing, over weights from Keras or from a file."""

import hashlib
import importlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.keras_applications import _network, _preprocess, build, default_size, model_names, prepare
from tasks.backbone.layers import stable_names
from tasks.backbone.load import load_layers, load_network
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError, SettingError
from tasks.keys import file_sha256
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras
from tests.support.progress import Tally
from tests.support.servers.file_server import FileServer, serving

pytestmark = pytest.mark.slow

SIZE = 32
SMALL = "keras:MobileNet"
FETCHED = "keras:MobileNetV3Small"
Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def pixels() -> Array:
    """Eight pictures, uint8 [8, 32, 32, 3], as smooth as photos."""
    small = np.random.default_rng(5).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    return small.repeat(4, axis=1).repeat(4, axis=2)


def network(name: str, *, top: bool = False) -> Any:
    """Build one as anybody would, with random weights."""
    shape = {} if top else {"input_shape": (SIZE, SIZE, 3), "pooling": "avg"}
    return getattr(keras.applications, name)(include_top=top, weights=None, **shape)


def see(model: Any, scaled: Array) -> Any:
    """Give each batch-norm the statistics of pictures; with others, random weights make all bottlenecks alike."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(scaled, training=True)
    return model


def scale(module: str, pixels: Array) -> Array:
    return np.asarray(getattr(keras.applications, module).preprocess_input(pixels.astype(np.float32)))


@pytest.fixture(scope="module")
def headless() -> Any:
    return network("MobileNet")


@pytest.fixture(scope="module")
def other() -> Any:
    return network("MobileNetV3Small")


def written(model: Any, file: Path) -> Path:
    (model.save_weights if file.name.endswith(".weights.h5") else model.save)(file)
    return file


def prepared(folder: Path, name: str = SMALL, weights: object = "", size: int = SIZE, **wishes: Any) -> Prepared:
    return prepare(BackboneRequest(name, str(weights), size, **wishes), folder, NullProgress())


@pytest.fixture(scope="module")
def small(headless: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("weights")
    return prepared(folder / "folder", weights=written(headless, folder / "small.weights.h5"))


def assert_close(got: Array, expected: Array) -> None:
    """The same to what float32 allows over many layers, and not the same for all photos."""
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected - expected[0]).max() > 0.01 * np.abs(expected).max()


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
def test_unknown_name_and_size_below_the_least_are_errors_that_name_what_there_is(
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
def test_bottlenecks_are_the_network_s_of_keras_s_own_scaling(
    pixels: Array, small: Prepared, name: str, module: str
) -> None:
    built, scaled = build(replace(small.backbone.last_layer, model=name), None), scale(module, pixels)
    (network_,) = [layer for layer in built.layers if isinstance(layer, keras.Model)]
    inner = see(network_, scaled)
    assert_close(built(pixels, training=False), inner(scaled, training=False))


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
def test_layers_are_those_of_the_same_names_however_often_keras_has_numbered_others(
    tmp_path: Path, pixels: Array, name: str
) -> None:
    size, file = 128, tmp_path / "own.weights.h5"
    large = pixels.repeat(4, axis=1).repeat(4, axis=2)[:2].astype(np.float32)
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


def point_keras_to(url: str, published: bytes, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Keras fetch from another server, expect what is published there, and keep it in another folder."""
    md5 = hashlib.md5(published, usedforsecurity=False).hexdigest()
    cache.mkdir(exist_ok=True)
    monkeypatch.setattr(importlib.import_module("keras.src.backend.config"), "_KERAS_DIR", str(cache))
    for name, attribute, key in (
        ("efficientnet", "BASE_WEIGHTS_PATH", "b0"),
        ("mobilenet_v3", "BASE_WEIGHT_PATH", "small_224_1.0_float"),
    ):
        module = importlib.import_module(f"keras.src.applications.{name}")
        monkeypatch.setattr(module, attribute, url)
        monkeypatch.setitem(module.WEIGHTS_HASHES, key, ("", md5))


def served_at(files: FileServer) -> str:
    return files.url.rpartition("/")[0] + "/"


def test_weights_through_keras_make_keras_s_own_bottlenecks(
    tmp_path: Path, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EfficientNet's, since Keras builds it with one more layer for its weights of ImageNet, and without it else."""
    published = network("EfficientNetB0")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    published.get_layer(index=2).set_weights([mean, deviation, np.array(0)])
    see(published, pixels.astype(np.float32))
    with serving(FileServer(written(published, tmp_path / "published.h5").read_bytes())) as files:
        point_keras_to(served_at(files), files.content, tmp_path, monkeypatch)
        backbone = prepared(tmp_path / "folder", "keras:EfficientNetB0")
        own = keras.applications.EfficientNetB0(
            include_top=False, weights="imagenet", input_shape=(SIZE, SIZE, 3), pooling="avg"
        )
        assert len(files.requests) == 1
    assert len(backbone.backbone.layers) > 1
    last = replace(backbone, backbone=backbone.backbone.last_layer)
    assert_close(load_network(last)(pixels), own(pixels.astype(np.float32), training=False))


@pytest.fixture
def server(tmp_path: Path, other: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of MobileNetV3Small's weights that Keras takes for its own, and an empty cache of Keras'."""
    with serving(FileServer(written(other, tmp_path / "published.h5").read_bytes())) as files:
        point_keras_to(served_at(files), files.content, tmp_path / "cache", monkeypatch)
        yield files


def test_weights_through_keras_are_kept_for_when_there_is_no_network(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = Tally()
    request = BackboneRequest(FETCHED, size=SIZE)
    fetched = prepare(request, tmp_path / "folder", progress)
    assert capfd.readouterr().out == ""
    assert progress.lines == ["Fetching the ImageNet weights of keras:MobileNetV3Small through Keras"]
    assert [path.name for path in (tmp_path / "folder").rglob("*")] == ["imagenet", "MobileNetV3Small.weights.h5"]
    point_keras_to("http://127.0.0.1:1/", server.content, tmp_path / "another cache", monkeypatch)
    assert prepare(request, tmp_path / "folder", progress) == fetched
    assert len(progress.lines) == len(server.requests) == 1


def test_file_of_another_hash_is_an_error_and_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    server.content = server.content[:-1] + b"?"
    with pytest.raises(BackboneError, match=r"Keras could not get .*Incomplete or corrupted file"):
        prepared(tmp_path / "folder", FETCHED)
    assert list((tmp_path / "folder").iterdir()) == []


def test_offline_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:  # a port that nobody listens at
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        point_keras_to(url, b"", tmp_path, monkeypatch)
        with pytest.raises(BackboneError) as caught:
            prepared(tmp_path / "folder", FETCHED)
    file = f"{url}weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    for part in (file, "offline", "--weights", "--backbone efficientnet_lite0"):
        assert part in str(caught.value)
    assert capfd.readouterr().out == ""
    assert socket.getdefaulttimeout() is None
