"""The table of a comparison, and the means of its draws."""

import pytest

from tasks.compare.table import average, tabulate_cells
from tasks.evaluate.metrics import wilson_interval
from tasks.shards.schemas import COMPARISON
from tests.compare.cells import cell_of

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


def test_draws_are_averaged_ways_come_in_their_order_and_all_photos_last() -> None:
    points = average(tabulate_cells(CELLS))
    order = [(point.way, point.photos_per_label, point.cut) for point in points]
    assert order == [("head", 5, False), ("head", 0, False), ("scratch", 5, False), ("finetune", 5, True)]
    assert (points[0].draws, points[0].least, points[0].most) == (2, 0.7, 0.8)
    assert (points[0].accuracy, points[0].seconds) == pytest.approx((0.75, 10.5))
    assert points[0].interval == wilson_interval(38, 50)
