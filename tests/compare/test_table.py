"""The table of a comparison, and the means of its draws."""

import pytest

from tasks.compare.table import average, tabulate_cells
from tasks.evaluate.metrics import wilson_interval
from tasks.shards.schemas import COMPARISON
from tests.compare.photos import cell_of

CELLS = [
    cell_of("finetune", 5, 0, 30, cut=True),
    cell_of("head", 0, 0, 46),
    cell_of("head", 5, 0, 40),
    cell_of("head", 5, 1, 35),
    cell_of("scratch", 5, 0, 11),
]


def test_each_cell_is_a_row_of_the_public_schema() -> None:
    table = tabulate_cells(CELLS)
    assert table.schema == COMPARISON
    first, every, *_ = table.to_pylist()
    assert (first["way"], first["photos_per_label"], first["correct"], first["cut"]) == ("finetune", 5, 30, True)
    assert every["photos_per_label"] is None
    assert first["accuracy"] == 0.6
    interval = wilson_interval(30, 50)
    assert (first["low"], first["high"]) == (interval.low, interval.high)
    assert first["cell"] == CELLS[0].key


def test_draws_are_averaged_and_the_most_different_ones_kept() -> None:
    points = average(tabulate_cells(CELLS))
    (point,) = (point for point in points if (point.way, point.photos_per_label) == ("head", 5))
    assert (point.draws, point.least, point.most) == (2, 0.7, 0.8)
    assert point.accuracy == pytest.approx(0.75)
    assert point.seconds == pytest.approx(10.5)
    assert point.interval == wilson_interval(38, 50)


def test_ways_come_in_their_order_and_all_photos_last() -> None:
    order = [(point.way, point.photos_per_label) for point in average(tabulate_cells(CELLS))]
    assert order == [("head", 5), ("head", 0), ("scratch", 5), ("finetune", 5)]
    assert [point.cut for point in average(tabulate_cells(CELLS))] == [False, False, False, True]
