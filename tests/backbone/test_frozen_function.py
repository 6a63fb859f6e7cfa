"""Fixed batches: any number of photos up to the batch size, from any number of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tasks.backbone.frozen_function import FixedBatch
from tasks.runtime.tensorflow_import import tf

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def means() -> FixedBatch:
    return FixedBatch(lambda pixels: tf.reduce_mean(pixels, axis=(1, 2)), 8, 4)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_function_sees_pixels_as_numbers_from_0_to_255(means: FixedBatch, count: int) -> None:
    got = means(PIXELS[:count])
    np.testing.assert_allclose(got, PIXELS[:count].mean(axis=(1, 2)), rtol=1e-5)
    assert got.dtype == np.float32


def test_threads_get_their_own_results(means: FixedBatch) -> None:
    starts = list(range(0, 12, 4)) * 50
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda start: means(PIXELS[start : start + 4]), starts))
    for start, got in zip(starts, results, strict=True):
        np.testing.assert_allclose(got, PIXELS[start : start + 4].mean(axis=(1, 2)), rtol=1e-5)


def test_what_a_network_computes_in_does_not_show() -> None:
    halves = FixedBatch(lambda pixels: tf.cast(tf.reduce_mean(pixels, axis=(1, 2)), tf.bfloat16), 8, 4)
    assert halves(PIXELS[:2]).dtype == np.float32
