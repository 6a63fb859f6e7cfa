"""What bottlenecks are stored in: rounded to the nearest, and never to what is no number."""

import numpy as np
import pytest

from tasks.bottleneck.forward import Vectors
from tasks.bottleneck.stored import to_stored
from tasks.errors import BackboneError, SettingError

WHOSE = ["the photo a", "the photo b"]


def vectors(**second: float) -> Vectors:
    """Two photos of two views of 100 numbers; `number` of the last view of the second can be another."""
    drawn = np.random.default_rng(0).exponential(1, (2, 2, 100)).astype(np.float32)
    drawn[1, 1, 7] = second.get("number", 0)
    return drawn


def test_float32_is_stored_as_it_is_whatever_it_holds() -> None:
    given = vectors(number=np.nan)
    assert to_stored(given, "float32", WHOSE) is given


def test_each_number_becomes_the_nearest_of_float16() -> None:
    given = vectors()
    stored = to_stored(given, "float16", WHOSE)
    assert stored.dtype == np.float16
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)  # all that are finite, from 0 on
    nearest = np.abs(given.reshape(-1, 1).astype(np.float64) - every[every < 64]).min(axis=1)
    np.testing.assert_array_equal(np.abs(stored.astype(np.float64) - given).reshape(-1), nearest)
    assert nearest.max() > 0


@pytest.mark.parametrize(("number", "stored"), [(65_504, 65_504), (-65_519, -65_504), (1e-9, 0)])
def test_what_is_near_a_number_of_float16_is_stored(number: float, stored: float) -> None:
    assert to_stored(vectors(number=number), "float16", WHOSE)[1, 1, 7] == stored


@pytest.mark.parametrize(("number", "told"), [(65_520, "65,520"), (-7e4, "-70,000"), (3e38, "300,000,")])
def test_a_number_beyond_float16_is_an_error_that_names_the_photo_the_number_and_the_remedy(
    number: float, told: str
) -> None:
    sentence = (
        f"^The bottleneck of the photo b has the number {told}.* float16 ends at 65,504.*--bottleneck-dtype float32"
    )
    with pytest.raises(SettingError, match=sentence):
        to_stored(vectors(number=number), "float16", WHOSE)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_an_error_of_the_backbone(number: float) -> None:
    with pytest.raises(BackboneError, match=rf"^The bottleneck of the photo b has the number {number}, .*--scaling"):
        to_stored(vectors(number=number), "float16", WHOSE)
