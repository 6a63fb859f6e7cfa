"""Scaling: each way against Keras' own or its formula."""

import numpy as np
import pytest

from tasks.backbone.scaling import SCALINGS
from tasks.runtime.tensorflow_import import keras, tf

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
MODES = {
    "symmetric": keras.applications.mobilenet_v2,
    "torch": keras.applications.densenet,
    "caffe": keras.applications.resnet50,
}


@pytest.mark.parametrize("name", MODES)
def test_keras_modes_are_keras_own(name: str) -> None:
    expected = MODES[name].preprocess_input(PIXELS.copy())
    np.testing.assert_allclose(SCALINGS[name].apply(PIXELS), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "black", "white"), [("raw", 0, 255), ("unit", 0, 1), ("inception", -1, 127 / 128), ("lite", -127 / 128, 1)]
)
def test_black_and_white_are_scaled_by_the_formula(name: str, black: float, white: float) -> None:
    ends = np.array([[0, 0, 0], [255, 255, 255]], np.float32)
    np.testing.assert_allclose(SCALINGS[name].apply(ends), [[black] * 3, [white] * 3], rtol=1e-6)


@pytest.mark.parametrize("name", SCALINGS)
def test_tensors_are_scaled_as_arrays_are(name: str) -> None:
    np.testing.assert_allclose(SCALINGS[name].apply(tf.constant(PIXELS)), SCALINGS[name].apply(PIXELS), rtol=1e-5)
