"""Quantising to int8; tests/bottleneck/test_forward.py has what LiteRT shares with the other engines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.bottleneck.litert_forward import LiteRTForward, int8_network, quantise_network
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import tf
from tests.bottleneck.networks import draw_pictures, singular_values

SIZE = 64


def test_each_layer_has_a_scale_of_its_own() -> None:
    def layers(pixels: Any) -> tuple[Any, ...]:
        means = tf.reduce_mean(pixels, axis=(1, 2))
        return means, means / 1000, 1000 * means[:, :2]

    pixels = draw_pictures(range(100, 104), SIZE)
    got = LiteRTForward(quantise_network(layers, DecodeSettings(SIZE, SIZE), "means"), 1)(pixels)
    means = pixels.mean(axis=(1, 2))
    expected = np.concatenate([means, means / 1000, 1000 * means[:, :2]], axis=1)
    np.testing.assert_allclose(got, expected, rtol=0.05)


def test_network_that_cannot_be_quantised_is_an_error_that_names_other_precisions(tmp_path: Path) -> None:
    prepared = singular_values(tmp_path, 32)
    with pytest.raises(BackboneError, match=r"singular cannot be computed in int8 \(.+\)\. Give --precision float32"):
        int8_network(prepared, prepared.backbone.decode("jpeg"), tmp_path / "store", NullProgress())
