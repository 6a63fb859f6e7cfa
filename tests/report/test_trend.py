"""The figure of a dataset's runs."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.report.svg import BLUE, ORANGE, VERMILION
from tasks.report.trend import trend_figure
from tasks.runs.records import RunRecord, Verdict
from tests.report.made_up import make_up_night
from tests.report.svg import NAMESPACE, lines, read, texts


def nights(count: int, verdict: Verdict = "stays") -> list[RunRecord]:
    made = [make_up_night(Path("data"), count - place, 0.8 + 0.1 * place / count) for place in range(count)]
    return [replace(night, verdict=verdict, cross_validated=None) for night in made]


def stars(svg: str) -> int:
    return sum(1 for use in read(svg).iter(f"{NAMESPACE}use") if use.get("fill") == ORANGE and use.get("x"))


def test_a_line_goes_through_the_accuracies_and_each_has_its_interval() -> None:
    svg = trend_figure(nights(5))
    drawn = lines(svg, BLUE)
    assert sorted(map(len, drawn)) == [2] * 5 + [5]
    heights = [up for _, up in max(drawn, key=len)]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("count", [2, 61, 1000])
def test_any_number_of_runs_makes_a_small_figure(count: int) -> None:
    assert len(trend_figure(nights(count))) < 300_000


def test_all_runs_may_be_of_one_date() -> None:
    assert trend_figure([replace(night, date=dt.date(2026, 11, 24)) for night in nights(3)])


def test_new_champions_are_marked_and_named() -> None:
    five = nights(5)
    five[0] = replace(five[0], verdict="first")
    five[3] = replace(five[3], verdict="new")
    assert "new champion" in texts(trend_figure(five))
    assert "new champion" not in texts(trend_figure(nights(5)))
    # One of them stands in the legend.
    assert stars(trend_figure(five)) == 3


def test_cross_validated_accuracies_are_a_line_of_their_own_where_there_are_some() -> None:
    some = [replace(night, cross_validated=0.9) if place else night for place, night in enumerate(nights(4))]
    (line,) = lines(trend_figure(some), VERMILION)
    assert len(line) == 3
    assert lines(trend_figure(nights(4)), VERMILION) == []
