"""EfficientNet-Lite as OpenVINO's graph: the same bits as from TensorFlow, and other weights are refused."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.efficientnet_lite_graph import build_graph
from tasks.bottleneck.openvino_forward import OpenVinoForward, convert_network, openvino_network
from tasks.errors import BackboneError
from tasks.progress import NullProgress
from tests.bottleneck.networks import lite
from tests.support.processes import run

SIZE = 64

WITHOUT_TENSORFLOW = """
import sys
from pathlib import Path
from tasks.bottleneck.openvino_forward import openvino_network
from tasks.progress import NullProgress
from tests.bottleneck.networks import lite
openvino_network(lite(64), Path(sys.argv[1]), NullProgress())
assert "tensorflow" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_graph_computes_the_same_bits_as_the_converted_keras_model(precision: str, tmp_path: Path) -> None:
    from tasks.backbone.load import load_network  # noqa: PLC0415 (takes seconds)

    prepared = lite(SIZE)
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    networks = openvino_network(prepared, tmp_path, NullProgress()), convert_network(load_network(prepared), SIZE)
    found, expected = (OpenVinoForward(network, precision)(pixels) for network in networks)  # type: ignore[arg-type]
    assert found.shape == (8, prepared.backbone.width)
    np.testing.assert_array_equal(found, expected)


def test_the_graph_is_built_and_cached_without_tensorflow(tmp_path: Path) -> None:
    run([sys.executable, "-c", WITHOUT_TENSORFLOW, tmp_path]).check()
    assert len(list(tmp_path.glob("openvino-*.zip"))) == 1


@pytest.mark.parametrize("model", ["1", "2"])
def test_weights_of_another_variant_are_refused_by_layer(model: str) -> None:
    prepared = lite(SIZE)
    other = replace(prepared.backbone, model=model)
    with pytest.raises(BackboneError, match=r"do not fit efficientnet_lite0: layer \w+ \(_\w+\.\d*.*another shape"):
        build_graph(other, Path(str(prepared.weights)))


def test_a_file_that_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"none")
    with pytest.raises(BackboneError, match="has changed since the run began"):
        openvino_network(Prepared(lite(SIZE).backbone, weights), tmp_path, NullProgress())
