"""The forward pass by each engine: Keras' numbers, for each photo alone, by a network that is converted once."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.load import build_model, load_network
from tasks.backbone.prepare import prepare_own
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck import forward as opening
from tasks.bottleneck.forward import Forward, Vectors, forward_of, open_forward
from tasks.bottleneck.litert_forward import LiteRTForward
from tasks.bottleneck.openvino_forward import OpenVinoForward
from tasks.bottleneck.precision import PRECISIONS, Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.tensorflow_forward import TensorFlowForward
from tasks.bottleneck.views import Pixels
from tasks.hardware import Hardware, find_hardware
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras, tf
from tests.backbone.onnx_models import small
from tests.bottleneck.networks import cosines, draw_pictures, lite, singular_values
from tests.support.processes import TIMEOUT
from tests.support.progress import Tally
from tests.train.tiny import tiny

SIZE = 64
PREPARED = lite(SIZE)

#: Computes a bottleneck by a cached network, without TensorFlow.
RUN = """
import json, sys
from pathlib import Path
import numpy as np
from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.settings import BottleneckSettings
from tasks.progress import NullProgress
from tasks.settings import settings_from

settings = settings_from(BottleneckSettings, json.loads(sys.argv[1]))
forward = open_forward(settings, Path(sys.argv[2]), Path(sys.argv[3]), NullProgress())
print(forward(np.zeros((2, 16, 16, 3), np.uint8)).shape)
sys.exit("tensorflow" in sys.modules)
"""


def open_lite(precision: Precision, folder: Path) -> Forward:
    settings = BottleneckSettings(PREPARED.backbone, "jpeg", precision, views=1)
    return open_forward(settings, PREPARED.weights, folder, NullProgress())


def embed(forward: Forward, pixels: Pixels) -> Vectors:
    starts = range(0, len(pixels), forward.batch_size)
    return np.concatenate([forward(pixels[start : start + forward.batch_size]) for start in starts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """Forty pictures; int8 is calibrated on others."""
    return draw_pictures(range(100, 140), SIZE)


@pytest.fixture(scope="module")
def expected(pixels: Pixels) -> Vectors:
    """The bottlenecks as Keras computes them."""
    return np.asarray(build_model(PREPARED)(pixels.astype(np.float32), training=False))


@pytest.fixture(scope="module", params=[*PRECISIONS, "TensorFlow"])
def engine(request: pytest.FixtureRequest, folder: Path) -> tuple[str, Forward]:
    """Each precision on this machine, and TensorFlow in float32."""
    if request.param == "TensorFlow":
        return request.param, TensorFlowForward.load(PREPARED)
    if request.param == "bfloat16" and not find_hardware().bfloat16:
        pytest.skip("This processor does not compute in bfloat16.")
    return request.param, open_lite(request.param, folder)


def test_bottlenecks_are_those_of_keras_as_far_as_the_precision_allows(
    engine: tuple[str, Forward], pixels: Pixels, expected: Vectors
) -> None:
    precision, forward = engine
    got = embed(forward, pixels)
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert np.ptp(expected, axis=0).max() > 1
    mean = {"bfloat16": 0.999, "int8": 0.98}.get(precision)
    if mean is None:
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    else:
        assert cosines(got, expected).mean() > mean
        assert not np.allclose(got, expected, atol=1e-3), "it computes in float32"


def test_bottleneck_depends_on_its_photo_alone(engine: tuple[str, Forward], pixels: Pixels) -> None:
    """A photo has the same bits alone and among others, in a full and in a smaller batch, from any thread."""
    _, forward = engine
    together = embed(forward, pixels[:-1])
    assert len(np.unique(together, axis=0)) == len(together)
    order = np.random.default_rng(6).permutation(len(together))
    with ThreadPoolExecutor(forward.workers) as pool:
        alone = np.concatenate(list(pool.map(lambda place: forward(pixels[place : place + 1]), order)))
    np.testing.assert_array_equal(alone, together[order])


def test_tensorflow_computes_in_bfloat16_and_leaves_later_networks_in_float32(
    pixels: Pixels, expected: Vectors
) -> None:
    got = TensorFlowForward(load_network(PREPARED, bfloat16=True), SIZE, 4)(pixels[:4])
    assert got.dtype == np.float32
    assert cosines(got, expected[:4]).min() > 0.99
    assert not np.allclose(got, expected[:4], rtol=1e-4)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(("precision", "pattern"), [("int8", "int8-*.tflite"), ("float32", "openvino-*.zip")])
def test_network_is_the_same_wherever_it_is_made_and_opened_again_without_tensorflow(
    precision: Precision, pattern: str, tmp_path: Path
) -> None:
    prepared, pixels = tiny(tmp_path), draw_pictures(range(8), 16)
    settings = BottleneckSettings(prepared.backbone, "jpeg", precision, views=1)
    stores = [tmp_path / name for name in ("one", "other")]
    one, other = (open_forward(settings, prepared.weights, store, NullProgress())(pixels) for store in stores)
    np.testing.assert_array_equal(one, other)
    (cached,) = stores[1].iterdir()
    assert cached.match(pattern)
    command = [sys.executable, "-c", RUN, json.dumps(asdict(settings)), str(prepared.weights), str(stores[1])]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(2, 8)\n", "")
    assert list(stores[1].iterdir()) == [cached]


@pytest.mark.parametrize(
    ("precision", "gpu", "engine_type"),
    [("int8", False, LiteRTForward), ("float32", False, OpenVinoForward), ("float32", True, TensorFlowForward)],
)
def test_engine_goes_by_the_precision_and_the_hardware(
    precision: Precision, gpu: bool, engine_type: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_hardware", lambda: Hardware(gpu=gpu, bfloat16=False))
    prepared, progress = tiny(tmp_path), Tally()
    settings = BottleneckSettings(prepared.backbone, "png", precision, views=1)
    assert isinstance(open_forward(settings, prepared.weights, tmp_path / "store", progress), engine_type)
    assert set(progress.prepared) == {"imports", "network"}


def test_openvino_computes_an_onnx_file_on_a_machine_with_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_hardware", lambda: Hardware(gpu=True, bfloat16=False))
    path = small(tmp_path / "mine.onnx")
    prepared = prepare_own(BackboneRequest(str(path), scaling="unit"), path)
    settings = BottleneckSettings(prepared.backbone, "png", "float32", views=1)
    assert isinstance(open_forward(settings, path, tmp_path / "store", NullProgress()), OpenVinoForward)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tensorflow_computes_a_network_that_openvino_cannot(tmp_path: Path, precision: Precision) -> None:
    prepared, pixels = singular_values(tmp_path, 16), draw_pictures(range(4), 16)
    settings = BottleneckSettings(prepared.backbone, "png", precision, views=1)
    forward = open_forward(settings, prepared.weights, tmp_path / "store", NullProgress())
    expected = np.linalg.svd(pixels[..., 0].astype(np.float32), compute_uv=False)
    np.testing.assert_allclose(forward(pixels), expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("gpu", "engine_type"), [(False, OpenVinoForward), (True, TensorFlowForward)])
def test_compiled_function_sees_pixels_as_numbers_from_0_to_255(
    gpu: bool, engine_type: type, pixels: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "find_hardware", lambda: Hardware(gpu=gpu, bfloat16=False))
    means = forward_of(lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)), SIZE, 8)
    assert isinstance(means, engine_type)
    np.testing.assert_allclose(means(pixels[:3]), pixels[:3].mean(axis=(1, 2)), rtol=1e-5)
