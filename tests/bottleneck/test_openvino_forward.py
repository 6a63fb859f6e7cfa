"""Converting for OpenVINO; tests/bottleneck/test_forward.py has what OpenVINO shares with the other engines."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.openvino_forward import ConversionError, OpenVinoForward, convert_network, openvino_network
from tasks.errors import BackboneError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf
from tests.bottleneck.networks import lite
from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

SIZE = 16
PIXELS = np.zeros((20, SIZE, SIZE, 3), np.uint8)

FIRST_ARRAYS = """
import io, sys, threading, zipfile
from pathlib import Path
import numpy as np
from tasks.bottleneck.openvino_forward import GRAPH, WEIGHTS, OpenVinoForward
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


def test_call_without_photos_or_that_fails_leaves_the_others_able_to_go_on() -> None:
    forward = OpenVinoForward(convert_network(lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)), SIZE), "float32")
    assert forward(PIXELS[:0]).shape == (0, 3)
    for _ in range(10):
        with pytest.raises(ValueError, match="broadcast"):
            forward(PIXELS[:, : SIZE // 2])
    assert len(forward(PIXELS)) == len(PIXELS)


def test_network_that_openvino_cannot_compute_is_an_error_with_its_first_line_and_leaves_logging_as_it_was() -> None:
    root = logging.getLogger()
    before = root.level, root.filters[:], root.handlers[:]
    with pytest.raises(ConversionError, match=r"OpenVINO cannot compute the network \(.*\)\.$"):
        convert_network(lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False), SIZE)
    assert (root.level, root.filters, root.handlers) == before


def test_error_of_the_network_itself_is_no_conversion_error(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"none")
    with pytest.raises(BackboneError, match="has changed") as caught:
        openvino_network(Prepared(lite(64).backbone, weights), tmp_path, NullProgress())
    assert not isinstance(caught.value, ConversionError)
    assert list(tmp_path.glob("openvino-*")) == []


def test_threads_that_call_it_first_at_once_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FIRST_ARRAYS, str(tmp_path)], check=True, timeout=TIMEOUT, cwd=REPOSITORY)
