"""How the runs of a dataset went, as a figure."""

import datetime as dt
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from tasks.evaluate.metrics import Interval
from tasks.report.svg import (
    BLUE,
    GROUND,
    HEIGHT,
    ORANGE,
    SOFT,
    VERMILION,
    WIDTH,
    add_legend,
    draw_intervals,
    dress,
    font,
    limit_accuracies,
    new_figure,
    to_svg,
)
from tasks.runs.records import RunRecord

_MARKED_RUNS = 60  # of more, marks and intervals would run into each other


def trend_figure(nights: Sequence[RunRecord]) -> str:
    """Draw the test accuracy of a dataset's runs by date, and where there was a new champion.

    Args:
        nights: The runs in their order, two at least.

    Returns:
        An SVG element.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_axes((0, 0, 1, 1))
    few = len(nights) <= _MARKED_RUNS
    _draw_tested(axes, nights, few=few)
    crossed = [(night.date, night.cross_validated) for night in nights if night.cross_validated is not None]
    if crossed:
        dates, values = zip(*crossed, strict=True)
        line = "s--" if few else "--"
        axes.plot(_days(dates), values, line, color=VERMILION, linewidth=1.4, markersize=3.5, label="cross-validated")
    champions = [night for night in nights if night.verdict in ("first", "new")]
    if champions:
        best = [night.accuracy for night in champions]
        (stars,) = axes.plot(
            _days(night.date for night in champions), best, "*", color=ORANGE, markersize=10, label="new champion"
        )
        stars.set(markeredgecolor=GROUND, markeredgewidth=0.8)
    limit_accuracies(axes)
    _limit_days(axes, _days(night.date for night in nights))
    dress(axes, "", "Accuracy")
    axes.xaxis.get_offset_text().set(color=SOFT, fontproperties=font(9))
    add_legend(axes, 3)
    return to_svg(figure, "trend", f"Test accuracy of {len(nights)} runs by date.")


def _draw_tested(axes: Axes, nights: Sequence[RunRecord], *, few: bool) -> None:
    """Draw the accuracies on the test split, with their intervals as lines or as a band."""
    days, accuracies = _days(night.date for night in nights), [night.accuracy for night in nights]
    bounds = [Interval(night.low, night.high) for night in nights]
    if few:
        draw_intervals(axes, days, bounds)
    else:
        low, high = zip(*bounds, strict=True)
        axes.fill_between(days, low, high, color=BLUE, alpha=0.18, linewidth=0)
    line = "o-" if few else "-"
    axes.plot(days, accuracies, line, color=BLUE, linewidth=1.8, markersize=4, label="test, with 95 % interval")


def _limit_days(axes: Axes, days: Sequence[float]) -> None:
    """Leave a day on both sides at least: all runs may be of one date."""
    room = max(1.0, 0.03 * (days[-1] - days[0]))
    axes.set_xlim(days[0] - room, days[-1] + room)
    locator = AutoDateLocator(minticks=2, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _days(dates: Iterable[dt.date]) -> list[float]:
    """Dates as Matplotlib counts them."""
    return [float(date2num(date)) for date in dates]
