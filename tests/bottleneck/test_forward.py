"""Opening the forward pass: the precision of the settings is the one that computes, and what it prepares is told."""

from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.float_forward import FloatForward
from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.hardware import find_hardware
from tasks.bottleneck.int8 import Int8Forward
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tests.listening import Tally
from tests.train.tiny import SIZE, tiny

PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """A backbone of two layers, which all three can compute."""
    return tiny(tmp_path)


def test_each_precision_has_its_own_forward_pass(tmp_path: Path, prepared: Prepared) -> None:
    precisions: list[Precision] = ["float32", "int8"]
    if find_hardware().bfloat16:
        precisions.append("bfloat16")
    vectors = {}
    for precision in precisions:
        settings = BottleneckSettings(prepared.backbone, "png", precision, views=1)
        progress = Tally()
        forward = open_forward(settings, prepared.weights, tmp_path / precision, progress)
        assert isinstance(forward, Int8Forward if precision == "int8" else FloatForward)
        assert forward.workers >= 1
        assert forward.batch_size >= len(PIXELS)
        vectors[precision] = forward(PIXELS)
        assert set(progress.prepared) == {"imports", "network"}
    for other in precisions[1:]:
        assert not np.array_equal(vectors[other], vectors["float32"])
        assert np.corrcoef(vectors[other].ravel(), vectors["float32"].ravel())[0, 1] > 0.97


def test_int8_network_lies_beside_the_bottlenecks(tmp_path: Path, prepared: Prepared) -> None:
    settings = BottleneckSettings(prepared.backbone, "png", "int8", views=1)
    open_forward(settings, prepared.weights, tmp_path / "store", Tally())
    assert [path.suffix for path in (tmp_path / "store").iterdir()] == [".tflite"]


@pytest.mark.skipif(not find_hardware().bfloat16, reason="This processor does not compute in bfloat16.")
def test_bfloat16_stays_within_its_own_graph(prepared: Prepared) -> None:
    before = FloatForward(prepared)(PIXELS)
    FloatForward(prepared, precision="bfloat16")(PIXELS)
    np.testing.assert_array_equal(FloatForward(prepared)(PIXELS), before)
