"""Statistics: they are those of all rows at once, in whatever order and pieces the rows come and go."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import BackboneError
from tasks.train import statistics
from tasks.train.statistics import Statistics, centre

LABELS, WIDTH, VIEWS = 3, 7, 2


def rows(photos: int, dtype: str) -> Numbers:
    limits, random = np.iinfo(dtype), np.random.default_rng(0)
    drawn: Numbers = random.integers(limits.min, limits.max, (photos, VIEWS, WIDTH), dtype, endpoint=True)
    return drawn


def added(numbers: Numbers, labels: npt.NDArray[np.int64], piece: Sequence[int]) -> Statistics:
    total = Statistics.empty(LABELS, WIDTH)
    total.add(numbers[list(piece)], labels[list(piece)])
    return total


def assert_same(one: Statistics, other: Statistics) -> None:
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.sums, other.sums)
    np.testing.assert_array_equal(np.tril(one.products), np.tril(other.products))


@pytest.mark.parametrize("columns", [128, 3], ids=["one block", "several blocks"])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_counts_sums_and_products_are_those_of_python_s_whole_numbers(
    dtype: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "_BLOCK_COLUMNS", columns)
    numbers, labels = rows(700, dtype), np.arange(700) % LABELS
    total = added(numbers, labels, range(700))
    centred = numbers.astype(object) - (128 if dtype == "uint8" else 0)
    flat, of_rows = centred.reshape(-1, WIDTH), np.repeat(labels, VIEWS)
    assert total.counts.tolist() == np.bincount(of_rows).tolist()
    for label in range(LABELS):
        assert total.sums[label].tolist() == flat[of_rows == label].sum(axis=0).tolist()
    assert np.tril(total.products).tolist() == np.tril(flat.T @ flat).tolist()


def test_the_largest_numbers_of_8_bits_add_up_exactly_however_many() -> None:
    total = Statistics.empty(1, 2)
    total.add(np.zeros((3000, 1, 2), np.uint8), np.zeros(3000, np.int64))
    assert total.products[0, 0] == total.products[1, 0] == 3000 * 128**2
    assert total.sums.tolist() == [[-3000 * 128] * 2]


@given(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, LABELS - 1)), max_size=25), st.randoms(use_true_random=False)
)
def test_the_same_photos_give_the_same_bits_after_any_history(history: list[tuple[int, int]], order: object) -> None:
    """A photo that comes is added, one that comes again goes, and comes again with another label."""
    numbers = rows(12, "uint8")
    present: dict[int, int] = {}
    total = Statistics.empty(LABELS, WIDTH)
    for photo, label in history:
        if photo in present:
            total.add(numbers[[photo]], np.array([present[photo]]), sign=-1)
        if present.pop(photo, None) != label:
            total.add(numbers[[photo]], np.array([label]))
            present[photo] = label
    labels = np.zeros(12, np.int64)
    labels[list(present)] = list(present.values())
    shuffled = list(present)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' random.Random
    assert_same(total, added(numbers, labels, shuffled))


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_copied_statistics_that_lose_a_part_are_those_of_the_rest(dtype: str) -> None:
    numbers, labels = rows(50, dtype), np.arange(50) % LABELS
    everything, rest = added(numbers, labels, range(50)), added(numbers, labels, range(7))
    rest.copy_from(everything)
    rest.add(numbers[:20], labels[:20], sign=-1)
    assert_same(rest, added(numbers, labels, range(20, 50)))
    assert_same(everything, added(numbers, labels, range(50)))


def test_centred_numbers_of_8_bits_are_at_most_128_in_magnitude() -> None:
    extremes = np.array([[0, 255]], np.uint8)
    assert centre(extremes).tolist() == [[-128, 127]]
    assert centre(extremes.astype(np.int16)).tolist() == [[0, 255]]


def test_sums_that_are_too_large_to_be_exact_are_an_error() -> None:
    total = Statistics.empty(1, 2)
    total.products[0, 0] = 2.0**53
    with pytest.raises(BackboneError, match="beyond what is exact"):
        total.check()
