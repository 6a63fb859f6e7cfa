"""The forward pass by TensorFlow in bfloat16; tests/bottleneck/test_forward.py has what it shares with the others."""

import numpy as np

from tasks.backbone.load import load_network
from tasks.bottleneck.tensorflow_forward import TensorFlowForward
from tasks.runtime.tensorflow_import import tf
from tests.bottleneck.networks import cosines, draw_pictures, lite

SIZE, BATCH = 64, 8
PIXELS = draw_pictures(range(BATCH), SIZE)


def test_network_in_bfloat16_agrees_with_float32_and_leaves_later_networks_in_float32() -> None:
    prepared = lite(SIZE)
    expected = TensorFlowForward.load(prepared, BATCH)(PIXELS)
    got = TensorFlowForward(load_network(prepared, bfloat16=True), SIZE, BATCH)(PIXELS)
    assert cosines(got, expected).min() > 0.99
    assert not np.allclose(got, expected, rtol=1e-4)
    np.testing.assert_array_equal(TensorFlowForward.load(prepared, BATCH)(PIXELS), expected)


def test_result_is_float32_whatever_the_network_computes_in() -> None:
    halves = TensorFlowForward(lambda pixels: tf.cast(tf.reduce_mean(pixels, axis=(1, 2)), tf.bfloat16), SIZE, BATCH)
    assert halves(PIXELS[:2]).dtype == np.float32
