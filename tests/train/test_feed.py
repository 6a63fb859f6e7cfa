"""What a training steps through: every row once an epoch with what belongs to it, from memory as from disk."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.train import feed as module
from tasks.train.examples import Floats
from tasks.train.feed import Part, feed, in_batches, shuffle_nearby
from tasks.train.head import standardisation
from tasks.train.vectors import ScratchVectors
from tests.train.examples import draw_examples, put_on_disk, read

EXAMPLES = draw_examples((40, 30, 20))
ROWS = 180


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScratchVectors:
    """On disk, with blocks and pools so small that there are several of them."""
    monkeypatch.setattr("tasks.train.vectors.MOST_IN_MEMORY", 0)
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "POOL", 40)
    vectors = put_on_disk(EXAMPLES, tmp_path).vectors
    assert isinstance(vectors, ScratchVectors)
    return vectors


def steps_of(part: Part) -> list[tuple[Floats, npt.NDArray[np.int64]]]:
    """The rows of each batch and their numbers, which stand in the only column."""
    rows, numbers, order = (tensor.numpy() for tensor in part)
    return [(rows[batch[batch >= 0]], numbers[batch[batch >= 0]]) for batch in order]


@pytest.mark.parametrize("batch", [7, 16, 500])
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_epoch_holds_every_row_once_standardised_and_beside_its_column(
    kind: str, batch: int, scratch: ScratchVectors
) -> None:
    vectors = scratch if kind == "disk" else EXAMPLES.vectors
    standard = standardisation(EXAMPLES.vectors)
    expected = standard(read(EXAMPLES.vectors)).reshape(ROWS, -1)
    parts = list(feed(vectors, [np.arange(ROWS)], standard).epoch(batch, (0, 3)))
    steps = [step for part in parts for step in steps_of(part)]
    assert (len(parts) > 1) == (kind == "disk" and batch < ROWS)
    assert [len(rows) for rows, _ in steps] == [batch] * (ROWS // batch) + [ROWS % batch] * (ROWS % batch > 0)
    assert sorted(np.concatenate([numbers for _, numbers in steps])) == list(range(ROWS))
    for rows, numbers in steps:
        np.testing.assert_array_equal(rows, expected[numbers])


def test_a_part_from_disk_holds_no_more_rows_than_its_batches(scratch: ScratchVectors) -> None:
    for part in feed(scratch, [np.arange(ROWS)]).epoch(16, (0, 0)):
        assert len(part[0]) == sum(len(rows) for rows, _ in steps_of(part)) <= 40


def test_rows_that_are_drawn_more_than_once_are_the_same_from_memory_and_from_disk(scratch: ScratchVectors) -> None:
    drawn = np.random.default_rng(0).integers(0, ROWS, (11, 10))
    for vectors in (EXAMPLES.vectors, scratch):
        parts = feed(vectors, [np.arange(ROWS)]).draw(drawn)
        steps = [step for part in parts for step in steps_of(part)]
        for batch, (rows, numbers) in zip(drawn, steps, strict=True):
            np.testing.assert_array_equal(rows, read(EXAMPLES.vectors).reshape(ROWS, -1)[batch])
            np.testing.assert_array_equal(numbers, batch)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_epochs_draw_in_another_order_each_and_in_the_same_one_again(kind: str, scratch: ScratchVectors) -> None:
    rows = feed(scratch if kind == "disk" else EXAMPLES.vectors, [np.arange(ROWS)])

    def order(epoch: int) -> list[int]:
        parts = rows.epoch(16, (0, epoch))
        return [number for part in parts for _, numbers in steps_of(part) for number in numbers.tolist()]

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize("rows", [1, 8, 39, 40, 41, 1003])
def test_an_order_of_what_lies_together_has_every_row_once_and_few_places_to_read(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(module, "POOL", 40)
    order = shuffle_nearby(rows, (0, 0))
    assert sorted(order.tolist()) == list(range(rows))
    pools = [order[start : start + 40] for start in range(0, rows, 40)]
    # A pool's five blocks; the one that is not full shifts those behind it into the next.
    assert max(len(np.unique(pool // 8)) for pool in pools) <= 10
    if rows > 40:
        assert (np.diff(order) == 1).mean() < 0.2


@pytest.mark.parametrize(("rows", "batch"), [(10, 4), (8, 4), (3, 64), (1, 1)])
def test_batches_keep_the_order_and_the_last_one_is_filled_up(rows: int, batch: int) -> None:
    order = in_batches(np.arange(rows)[::-1], batch)
    assert order.shape == (-(-rows // batch), batch)
    assert order.ravel()[:rows].tolist() == list(range(rows))[::-1]
    assert (order.ravel()[rows:] == -1).all()
