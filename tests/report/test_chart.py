"""Axes and charts."""

import datetime as dt
import math

import pytest

from tasks.report.chart import PLANE, Axis, Chart, accuracy_axis, count_axis, date_axis, round_values, share_axis
from tasks.report.svg import BLUE, VERMILION, Style, new_figure, to_svg
from tests.report.svg import lines, read, texts

FIRST = dt.date(2026, 1, 30)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.83, 0.96, [0.85, 0.9, 0.95]),
        (0, 2060, [0, 500, 1000, 1500, 2000]),
        (0, 6, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_ticks_are_round_values(low: float, high: float, expected: list[float]) -> None:
    assert round_values(low, high) == pytest.approx(expected)


def test_axes_write_shares_in_percent_and_counts_as_whole_numbers() -> None:
    assert [tick.text for tick in share_axis("").ticks][::5] == ["0\u00a0%", "100\u00a0%"]
    assert [tick.text for tick in count_axis("", 4_200, 3).ticks] == ["0", "2,000", "4,000"]
    assert [tick.text for tick in count_axis("", 1.05).ticks] == ["0", "1"]


def test_small_differences_of_accuracies_are_not_enlarged() -> None:
    axis = accuracy_axis("", [0.9, 0.91])
    assert axis.high - axis.low > 0.1
    assert axis.low < 0.9
    assert axis.high > 0.91
    assert accuracy_axis("", [0, 1])[:2] == pytest.approx((0, 1.005))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, ["2026-01-30"]),
        (2, ["2026-01-30", "2026-01-31", "2026-02-01"]),
        (90, ["2026-02", "2026-03", "2026-04", "2026-05"]),
        (1500, ["2026", "2027", "2028", "2029", "2030"]),
    ],
)
def test_ticks_of_dates_are_days_months_or_years(days: int, expected: list[str]) -> None:
    axis = date_axis(FIRST, FIRST + dt.timedelta(days))
    assert [tick.text for tick in axis.ticks] == expected
    assert axis.low < FIRST.toordinal()
    assert axis.high > FIRST.toordinal() + days


@pytest.mark.parametrize("days", [0, 1, 8, 40, 85, 200, 400, 1000, 3000, 9000, 30_000])
def test_any_span_of_dates_has_a_few_ticks_inside_of_it(days: int) -> None:
    axis = date_axis(FIRST, FIRST + dt.timedelta(days))
    assert 1 <= len(axis.ticks) <= 6
    assert all(axis.low < tick.value < axis.high for tick in axis.ticks)


def test_values_are_placed_by_the_scales_of_their_axes() -> None:
    figure = new_figure()
    chart = Chart(figure, Axis(1, 100, [], scale=math.log10), Axis(0, 2, []))
    chart.draw([1, 10, 100], [0, 1, 2], Style(BLUE))
    (line,) = lines(to_svg(figure, chart.frame(), ""), BLUE)
    assert line == [(0, PLANE.bottom), (PLANE.right / 2, PLANE.bottom / 2), (PLANE.right, 0)]


def test_a_legend_that_is_too_long_for_a_line_goes_on_in_the_next_within_the_figure() -> None:
    figure = new_figure()
    chart = Chart(figure, share_axis("x"), share_axis("y"))
    for number in range(9):
        chart.draw([0, 1], [0, 1], Style(VERMILION), f"the rather long name {number}")
    frame = chart.add_legend()
    svg = to_svg(figure, frame, "")
    legend = [text for text in read(svg).iter() if (text.text or "").startswith("the rather")]
    heights = {float(text.attrib["y"]) for text in legend}
    assert 1 < len(heights) < 9
    assert frame.top < min(heights) < max(heights) < PLANE.top
    assert max(float(text.attrib["x"]) for text in legend) < PLANE.right
    assert [name for name in texts(svg) if name.startswith("the rather")] == [text.text for text in legend]
