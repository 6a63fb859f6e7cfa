"""The forward pass by OpenVINO: the network's own numbers, for each photo alone, made once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.openvino_forward import OpenVinoForward
from tasks.bottleneck.openvino_network import ConversionError, convert_network, openvino_network
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.errors import BackboneError
from tasks.hardware import find_hardware
from tasks.progress import NullProgress
from tasks.synthetic.composition import draw_photo
from tests.bottleneck.lite import lite
from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

SIZE = 64

RUN = """
import sys
from pathlib import Path
from tasks.bottleneck.openvino_forward import OpenVinoForward
from tasks.bottleneck.openvino_network import openvino_network
from tasks.progress import NullProgress
from tests.bottleneck.test_openvino_forward import lite, pictures_of

network = openvino_network(lite(64), Path(sys.argv[1]), NullProgress())
print(OpenVinoForward(network, "float32")(pictures_of(range(2))).shape)
sys.exit("tensorflow" in sys.modules)
"""


def pictures_of(numbers: range) -> Pixels:
    """Drawn pictures: uint8 [N, 64, 64, 3]."""
    decode = lite(SIZE).backbone.decode("jpeg")
    return np.stack([read_pixels(decode_photo(draw_photo(0, number), decode).image) for number in numbers])


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return lite(SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def network(prepared: Prepared, folder: Path) -> bytes:
    return openvino_network(prepared, folder, NullProgress())


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    return pictures_of(range(40))


@pytest.fixture(scope="module")
def expected(prepared: Prepared, pictures: Pixels) -> Any:
    """What Keras makes of the pictures."""
    from tasks.backbone.load import build_model  # noqa: PLC0415 (imports TensorFlow)

    return np.asarray(build_model(prepared)(pictures.astype(np.float32), training=False))


def test_bottlenecks_in_float32_are_those_of_keras(network: bytes, pictures: Pixels, expected: Any) -> None:
    got = OpenVinoForward(network, "float32")(pictures)
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert np.ptp(expected, axis=0).max() > 1
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.skipif(not find_hardware().bfloat16, reason="This processor does not compute in bfloat16.")
def test_bottlenecks_in_bfloat16_point_where_those_in_float32_do(
    network: bytes, pictures: Pixels, expected: Any
) -> None:
    got = OpenVinoForward(network, "bfloat16")(pictures)
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (got * expected).sum(axis=1) / lengths
    assert cosines.min() > 0.99
    assert cosines.mean() > 0.999
    # It is another computation all the same: were it float32, nothing would have been gained.
    assert not np.allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bottleneck_depends_on_its_photo_alone(network: bytes, pictures: Pixels, precision: Any) -> None:
    if precision == "bfloat16" and not find_hardware().bfloat16:
        pytest.skip("This processor does not compute in bfloat16.")
    forward = OpenVinoForward(network, precision)
    together = forward(pictures)
    assert len(np.unique(together, axis=0)) == len(pictures)
    order = np.random.default_rng(6).permutation(len(pictures))
    with ThreadPoolExecutor(8) as pool:
        alone = np.concatenate(list(pool.map(lambda place: forward(pictures[place : place + 1]), order)))
    np.testing.assert_array_equal(alone, together[order])


def test_no_photos_have_no_bottlenecks(network: bytes, pictures: Pixels) -> None:
    assert OpenVinoForward(network, "float32")(pictures[:0]).shape[0] == 0


def test_a_call_that_fails_leaves_the_others_able_to_go_on(network: bytes, pictures: Pixels) -> None:
    forward = OpenVinoForward(network, "float32")
    for _ in range(10):
        with pytest.raises(ValueError, match="broadcast"):
            forward(pictures[:, : SIZE // 2])
    assert len(forward(pictures)) == len(pictures)


def test_network_is_made_once_and_the_second_time_without_tensorflow(folder: Path, network: bytes) -> None:
    (kept,) = folder.glob("openvino-*.zip")
    assert kept.read_bytes() == network
    command = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"(2, {lite(SIZE).backbone.width})\n"
    assert list(folder.glob("openvino-*.zip")) == [kept]


def test_network_is_the_same_wherever_it_is_made(
    prepared: Prepared, network: bytes, pictures: Pixels, tmp_path: Path
) -> None:
    again = OpenVinoForward(openvino_network(prepared, tmp_path, NullProgress()), "float32")
    np.testing.assert_array_equal(again(pictures), OpenVinoForward(network, "float32")(pictures))


def test_function_sees_pixels_as_numbers_from_0_to_255(pictures: Pixels) -> None:
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (takes seconds)

    means = convert_network(lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)), SIZE)
    got = OpenVinoForward(means, "float32")(pictures)
    np.testing.assert_allclose(got, pictures.mean(axis=(1, 2)), rtol=1e-5)


def test_a_network_that_openvino_cannot_compute_is_told_by_its_first_line() -> None:
    from tasks.runtime.tensorflow_import import tf  # noqa: PLC0415 (takes seconds)

    with pytest.raises(ConversionError, match=r"OpenVINO cannot compute the network \(.*\)\.$"):
        convert_network(lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False), SIZE)


def test_an_error_of_the_network_itself_stays_what_it_is(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"none")
    with pytest.raises(BackboneError, match="has changed") as caught:
        openvino_network(Prepared(lite(SIZE).backbone, weights), tmp_path, NullProgress())
    assert not isinstance(caught.value, ConversionError)
    assert list(tmp_path.glob("openvino-*")) == []


FIRST_ARRAYS = """
import io, sys, threading, zipfile
from pathlib import Path
import numpy as np
from tasks.bottleneck.openvino_forward import OpenVinoForward
from tasks.bottleneck.openvino_network import GRAPH, WEIGHTS
from tasks.runtime.openvino_import import ov

pixels = ov.opset13.parameter([1, 2, 2, 3], np.uint8)
model = ov.Model([ov.opset13.convert(ov.opset13.reshape(pixels, [1, 12], False), "f32")], [pixels], "network")
ov.save_model(model, Path(sys.argv[1]) / GRAPH)
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w") as archive:
    for name in (GRAPH, WEIGHTS):
        archive.write(Path(sys.argv[1]) / name, name)
forward, together = OpenVinoForward(buffer.getvalue(), "float32"), threading.Barrier(8)
sys.setswitchinterval(1e-6)

def call():
    together.wait()
    forward(np.zeros((4, 2, 2, 3), np.uint8))

threads = [threading.Thread(target=call) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_threads_that_call_it_first_at_once_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FIRST_ARRAYS, str(tmp_path)], check=True, timeout=TIMEOUT, cwd=REPOSITORY)
