"""The int8 forward pass: near the backbone's own numbers, the same for everybody, made once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.int8 import Int8Forward, int8_network, quantise, quantise_network
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.errors import BackboneError
from tasks.progress import NullProgress
from tasks.synthetic.composition import draw_photo
from tests.bottleneck.lite import lite

SIZE = 64

RUN = """
import sys
from pathlib import Path
from tasks.bottleneck.int8 import Int8Forward, int8_network
from tasks.progress import NullProgress
from tests.bottleneck.test_int8 import pictures_of, prepared_lite

prepared = prepared_lite()
network = int8_network(prepared, prepared.backbone.decode("jpeg"), Path(sys.argv[1]), NullProgress())
print(Int8Forward(network, 2)(pictures_of(range(100, 102))).shape)
sys.exit("tensorflow" in sys.modules)
"""


def prepared_lite() -> Prepared:
    return lite(SIZE)


def pictures_of(numbers: range) -> Pixels:
    """Drawn pictures, none of them among those that the ranges were measured on: uint8 [N, 64, 64, 3]."""
    decode = prepared_lite().backbone.decode("jpeg")
    return np.stack([read_pixels(decode_photo(draw_photo(0, number), decode).image) for number in numbers])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def network(folder: Path) -> bytes:
    prepared = prepared_lite()
    return int8_network(prepared, prepared.backbone.decode("jpeg"), folder, NullProgress())


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    return pictures_of(range(100, 140))


def test_bottlenecks_point_where_those_in_float32_do(network: bytes, pictures: Pixels, tmp_path: Path) -> None:
    from tasks.bottleneck.openvino_forward import OpenVinoForward  # noqa: PLC0415 (imports OpenVINO)
    from tasks.bottleneck.openvino_network import openvino_network  # noqa: PLC0415

    got = Int8Forward(network, 1)(pictures)
    expected = OpenVinoForward(openvino_network(prepared_lite(), tmp_path, NullProgress()), "float32")(pictures)
    assert got.shape == (40, prepared_lite().backbone.width)
    assert got.dtype == np.float32
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (got * expected).sum(axis=1) / lengths
    assert cosines.mean() > 0.98
    # It is another computation all the same: were it float32, nothing would have been gained.
    assert cosines.max() < 0.9999


def test_each_layer_has_a_scale_of_its_own() -> None:
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (takes seconds)

    def layers(pixels: Any) -> tuple[Any, ...]:
        means = tf.reduce_mean(pixels, axis=(1, 2))
        return means, means / 1000, 1000 * means[:, :2]

    decode = prepared_lite().backbone.decode("jpeg")
    pictures = pictures_of(range(100, 104))
    got = Int8Forward(quantise_network(layers, decode, "means"), 1)(pictures)
    means = pictures.mean(axis=(1, 2))
    expected = np.concatenate([means, means / 1000, 1000 * means[:, :2]], axis=1)
    np.testing.assert_allclose(got, expected, rtol=0.05)


def test_bottleneck_depends_on_its_photo_alone(network: bytes, pictures: Pixels) -> None:
    forward = Int8Forward(network, 2)
    together = forward(pictures)
    with ThreadPoolExecutor(2) as pool:
        alone = np.concatenate(list(pool.map(lambda photo: forward(photo[None]), pictures)))
    np.testing.assert_array_equal(alone, together)


def test_network_is_made_once_and_the_second_time_without_tensorflow(folder: Path, network: bytes) -> None:
    (kept,) = folder.glob("int8-*.tflite")
    assert kept.read_bytes() == network
    command = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"(2, {prepared_lite().backbone.width})\n", "")
    assert list(folder.glob("int8-*.tflite")) == [kept]


def test_network_is_the_same_wherever_it_is_made(network: bytes, pictures: Pixels) -> None:
    prepared = prepared_lite()
    again = Int8Forward(quantise(prepared, prepared.backbone.decode("jpeg")), 1)
    np.testing.assert_array_equal(again(pictures), Int8Forward(network, 1)(pictures))


def test_network_that_cannot_be_quantised_is_an_error_that_names_other_precisions(tmp_path: Path) -> None:
    from tasks.backbone.prepare import prepare_backbone  # noqa: PLC0415 (imports TensorFlow)
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415

    module = tf.Module()
    # LiteRT has no singular values.
    module.call = tf.function(
        lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False),
        autograph=False,
        input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)],
    )
    folder = tmp_path / "singular"
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    prepared = prepare_backbone(BackboneRequest(str(folder), scaling="raw"), folder, NullProgress())
    with pytest.raises(BackboneError, match=r"singular cannot be computed in int8 \(.+\)\. Give --precision float32"):
        quantise(prepared, prepared.backbone.decode("jpeg"))
