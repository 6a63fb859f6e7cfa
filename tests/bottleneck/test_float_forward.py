"""The forward pass: the model's own numbers, and the same ones whoever shares the batch."""

import numpy as np
import pytest

from tasks.backbone.backbones import Prepared
from tasks.backbone.frozen_function import FixedBatch
from tasks.backbone.load import build_model, load_network
from tasks.bottleneck.float_forward import FloatForward
from tasks.bottleneck.views import Pixels
from tests.bottleneck.lite import lite

SIZE, BATCH = 64, 8


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return lite(SIZE)


@pytest.fixture(scope="module")
def forward(prepared: Prepared) -> FloatForward:
    return FloatForward(prepared, BATCH)


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """As many as three batches: photos are smooth, hence small pictures enlarged; uint8 [24, 64, 64, 3]."""
    small = np.random.default_rng(5).integers(0, 256, (3 * BATCH, 8, 8, 3), dtype=np.uint8)
    return small.repeat(8, axis=1).repeat(8, axis=2)


def test_bottlenecks_are_the_model_s(forward: FloatForward, prepared: Prepared, pixels: Pixels) -> None:
    expected = build_model(prepared)(pixels[:BATCH].astype(np.float32), training=False)
    got = forward(pixels[:BATCH])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_bottleneck_is_bit_identical_at_any_place_and_beside_any_photos(forward: FloatForward, pixels: Pixels) -> None:
    in_order = np.concatenate([forward(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)])
    assert len(np.unique(in_order, axis=0)) == len(pixels)
    order = np.random.default_rng(6).permutation(len(pixels))
    shuffled = [forward(pixels[order[start : start + BATCH]]) for start in range(0, len(pixels), BATCH)]
    np.testing.assert_array_equal(np.concatenate(shuffled), in_order[order])


@pytest.mark.parametrize("count", [1, 3, BATCH - 1])
def test_bottleneck_is_bit_identical_in_a_smaller_batch(forward: FloatForward, pixels: Pixels, count: int) -> None:
    np.testing.assert_array_equal(forward(pixels[:count]), forward(pixels[:BATCH])[:count])


def test_network_that_is_built_in_bfloat16_for_a_gpu_points_where_the_other_one_does(
    forward: FloatForward, prepared: Prepared, pixels: Pixels
) -> None:
    built = FixedBatch(load_network(prepared, bfloat16=True), SIZE, BATCH)
    got, expected = built(pixels[:BATCH]), forward(pixels[:BATCH])
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (got * expected).sum(axis=1) / lengths
    assert cosines.min() > 0.99
    assert not np.allclose(got, expected, rtol=1e-4)
    # It is that network alone: what is built after it computes in float32 again.
    np.testing.assert_array_equal(FloatForward(prepared, BATCH)(pixels[:BATCH]), expected)
