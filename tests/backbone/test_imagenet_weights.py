"""ImageNet weights through Keras: fetched once, from a server that stands for Keras' own, and kept."""

import hashlib
import importlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.keras_applications import prepare
from tasks.backbone.load import load_network
from tasks.backbone.request import BackboneRequest
from tasks.errors import BackboneError
from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import keras
from tests.backbone.keras_models import PIXELS, SIZE, assert_close, network, prepared, see, written
from tests.support.progress import Tally
from tests.support.servers.file_server import FileServer, serving
from tests.support.servers.object_store import other_machine

pytestmark = pytest.mark.slow

FETCHED = "keras:MobileNetV3Small"


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


def test_weights_through_keras_make_keras_s_own_bottlenecks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientNet's, since Keras builds it with one more layer for its weights of ImageNet, and without it else."""
    published = network("EfficientNetB0")
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    published.get_layer(index=2).set_weights([mean, deviation, np.array(0)])
    see(published, PIXELS.astype(np.float32))
    with serving(FileServer(written(published, tmp_path / "published.h5").read_bytes())) as files:
        point_keras_to(files.base, files.content, tmp_path, monkeypatch)
        backbone = prepared(tmp_path / "folder", "keras:EfficientNetB0")
        own = keras.applications.EfficientNetB0(
            include_top=False, weights="imagenet", input_shape=(SIZE, SIZE, 3), pooling="avg"
        )
        assert len(files.requests) == 1
    assert len(backbone.backbone.layers) > 1
    last = replace(backbone, backbone=backbone.backbone.last_layer)
    assert_close(load_network(last)(PIXELS), own(PIXELS.astype(np.float32), training=False))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of MobileNetV3Small's weights that Keras takes for its own, and an empty cache of Keras'."""
    with serving(FileServer(written(network("MobileNetV3Small"), tmp_path / "published.h5").read_bytes())) as files:
        point_keras_to(files.base, files.content, tmp_path / "cache", monkeypatch)
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


@pytest.mark.usefixtures("own_machine")
def test_imagenet_weights_come_through_keras_once_for_all_machines(
    server: FileServer, far_root: AnyPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(far_root, FETCHED)
    other_machine(monkeypatch, tmp_path / "other")
    assert prepared(far_root, FETCHED) == first
    assert len(server.requests) == 1
    assert first.weights.is_file()
