"""Opening the forward pass: the precision of the settings is the one that computes, and what it prepares is told."""

from pathlib import Path

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.frozen_function import FixedBatch
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck import forward
from tasks.bottleneck.float_forward import FloatForward
from tasks.bottleneck.forward import forward_of, open_forward
from tasks.bottleneck.int8 import Int8Forward
from tasks.bottleneck.openvino_forward import OpenVinoForward
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.hardware import Hardware, find_hardware
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf
from tests.support.progress import Tally
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
        embed = open_forward(settings, prepared.weights, tmp_path / precision, progress)
        assert isinstance(embed, Int8Forward if precision == "int8" else OpenVinoForward)
        assert embed.workers >= 1
        assert embed.batch_size >= len(PIXELS)
        vectors[precision] = embed(PIXELS)
        assert set(progress.prepared) == {"imports", "network"}
    for other in precisions[1:]:
        assert not np.array_equal(vectors[other], vectors["float32"])
        assert np.corrcoef(vectors[other].ravel(), vectors["float32"].ravel())[0, 1] > 0.97


@pytest.mark.parametrize(("precision", "suffix"), [("int8", ".tflite"), ("float32", ".zip")])
def test_network_that_was_quantised_or_converted_lies_beside_the_bottlenecks(
    tmp_path: Path, prepared: Prepared, precision: Precision, suffix: str
) -> None:
    settings = BottleneckSettings(prepared.backbone, "png", precision, views=1)
    open_forward(settings, prepared.weights, tmp_path / "store", Tally())
    assert [path.suffix for path in (tmp_path / "store").iterdir()] == [suffix]


def test_tensorflow_computes_on_a_gpu(tmp_path: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "find_hardware", lambda: Hardware(gpu=True, bfloat16=False))
    settings = BottleneckSettings(prepared.backbone, "png", "float32", views=1)
    assert isinstance(open_forward(settings, prepared.weights, tmp_path / "store", Tally()), FloatForward)
    assert isinstance(forward_of(lambda pixels: pixels[:, 0, 0], SIZE, 8), FixedBatch)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_tensorflow_computes_what_openvino_cannot(tmp_path: Path, precision: Precision) -> None:
    module = tf.Module()
    # OpenVINO has no singular values.
    module.call = tf.function(
        lambda pixels: tf.linalg.svd(pixels[..., 0], compute_uv=False),
        autograph=False,
        input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)],
    )
    folder = tmp_path / "singular"
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    prepared = prepare_backbone(BackboneRequest(str(folder), scaling="raw"), folder, NullProgress())
    settings = BottleneckSettings(prepared.backbone, "png", precision, views=1)
    embed = open_forward(settings, prepared.weights, tmp_path / "store", Tally())
    expected = np.linalg.svd(PIXELS[..., 0].astype(np.float32), compute_uv=False)
    np.testing.assert_allclose(embed(PIXELS), expected, rtol=1e-3, atol=1e-2)


def test_function_at_hand_sees_pixels_as_numbers_from_0_to_255() -> None:
    means = forward_of(lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)), SIZE, len(PIXELS))
    assert isinstance(means, OpenVinoForward)
    np.testing.assert_allclose(means(PIXELS), PIXELS.mean(axis=(1, 2)), rtol=1e-5)
