"""The plan of a comparison: its cells, and the time that each may take."""

import pytest

from tasks.compare.plan import START_SECONDS, ComparisonPlan, network_recipe, plan_cells
from tasks.compare.settings import ALL, CellSettings
from tests.compare.cells import BACKBONE

TRAINING = (500, 700, 400, 30, 600)


def cells(**changes: object) -> list[CellSettings]:
    plan = {"sizes": (5, 50, 100, ALL), "seeds": 3, "epochs": 12, "minutes": 25.0} | changes
    return plan_cells(ComparisonPlan(**plan), TRAINING, BACKBONE, "jpeg")  # type: ignore[arg-type]  # each of its own type


def test_every_way_has_every_size_and_few_photos_are_drawn_several_times() -> None:
    found = [(cell.way, cell.photos_per_label, cell.seed) for cell in cells()]
    draws = [(5, 0), (5, 1), (5, 2), (50, 0), (50, 1), (50, 2), (100, 0), (ALL, 0)]
    assert found == [(way, *draw) for way in ("head", "scratch", "finetune") for draw in draws]


def test_fine_tuning_starts_from_pretrained_weights_and_scratch_does_not() -> None:
    starts = {cell.way: network_recipe(cell).start for cell in cells() if cell.way != "head"}
    assert starts == {"scratch": "random", "finetune": "pretrained"}


@pytest.mark.parametrize("minutes", [5.0, 25.0, 60.0])
def test_networks_share_the_budget_more_photos_get_more_and_both_ways_the_same(minutes: float) -> None:
    networks = [cell for cell in cells(minutes=minutes) if cell.way != "head"]
    assert sum(cell.seconds or 0 for cell in networks) == pytest.approx(minutes * 60, abs=len(networks))
    limits = {(cell.way, cell.photos_per_label): cell.seconds or 0 for cell in networks}
    assert limits["scratch", 5] < limits["scratch", 100] < limits["scratch", ALL]
    assert all(limits["scratch", size] == limits["finetune", size] for size in (5, 50, 100, ALL))


def test_without_a_budget_nothing_is_limited_and_a_small_one_lets_every_network_start() -> None:
    assert {cell.seconds for cell in cells(minutes=0)} == {None}
    assert {cell.seconds for cell in cells(minutes=0.01)} == {None, START_SECONDS}


@pytest.mark.parametrize("change", [{"epochs": 3}, {"minutes": 5.0}])
def test_a_network_is_another_cell_with_other_epochs_or_time_and_a_head_the_same(change: dict[str, object]) -> None:
    head, *_, network = cells(**change)
    assert head.key("snapshot") == cells()[0].key("snapshot")
    assert network.key("snapshot") != cells()[-1].key("snapshot")
