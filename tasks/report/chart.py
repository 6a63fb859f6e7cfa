"""Charts with a horizontal and a vertical axis: scales, ticks, grid, lines, intervals and a legend."""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from tasks.evaluate.metrics import Interval
from tasks.report.svg import (
    BLUE,
    GRID,
    LARGE,
    MEDIUM,
    SOFT,
    Frame,
    Name,
    Point,
    Style,
    add,
    add_line,
    add_text,
    text_width,
)

#: Rectangle of the only chart of a figure: legible on a phone, and two beside each other on a desk.
PLANE = Frame(0, 0, 540, 326)

_LEFT, _RIGHT, _BELOW = 66.0, 26.0, 26.0  # room for the texts of the axes
_NAME_BELOW = 22.0
_HANDLE, _GAP, _ROW = 26.0, 14.0, 20.0  # of the legend: width of a line, gap between entries, height of a row
_MIN_SPAN = 0.1  # of accuracies, so that the noise of a few photos does not fill the figure
_MOST_TICKS = 6
#: Distances between the ticks of dates: whether months and not days are counted, how many, and the format.
_DATE_STEPS = (
    *((False, days, "%Y-%m-%d") for days in (1, 2, 7, 14)),
    *((True, months, "%Y-%m") for months in (1, 3, 6)),
    *((True, months, "%Y") for months in (12, 24, 60, 240, 1200)),
)


class Tick(NamedTuple):
    """A value that an axis names."""

    value: float
    text: str


class Axis(NamedTuple):
    """An axis: its limits, ticks and name."""

    low: float
    high: float
    ticks: Sequence[Tick]
    name: str = ""  #: Empty for none.
    scale: Callable[[float], float] = float  #: Rising function of the values whose results are drawn evenly.

    def share(self, value: float) -> float:
        """Return where a value lies between the limits, in [0, 1]."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(value) - low) / (high - low)


def share_axis(name: str, low: float = 0.0, high: float = 1.02) -> Axis:
    """Return an axis of shares in percent."""
    return Axis(low, high, [Tick(share, f"{100 * share:.0f}\u00a0%") for share in round_values(low, high)], name)


def count_axis(name: str, high: float, most_ticks: int = _MOST_TICKS) -> Axis:
    """Return an axis of whole numbers from 0."""
    values = sorted({round(value) for value in round_values(0, high, most_ticks)})
    return Axis(0, high, [Tick(value, f"{value:,}") for value in values], name)


def accuracy_axis(name: str, accuracies: Iterable[float]) -> Axis:
    """Return an axis with room for some accuracies that does not enlarge small differences."""
    accuracies = list(accuracies)
    low, high = min(accuracies), max(accuracies)
    margin = max(0.0, _MIN_SPAN - (high - low)) / 2 + 0.01
    return share_axis(name, max(0.0, low - margin), min(1.0, high + margin) + 0.005)


def date_axis(first: dt.date, last: dt.date) -> Axis:
    """Return an axis of dates as ordinals, with at least a day on both sides, since both may be the same."""
    room = max(1, round(0.03 * (last - first).days))
    low, high = first.toordinal() - room, last.toordinal() + room
    # Without the ends, where dates would be cut off.
    return Axis(low, high, _date_ticks([dt.date.fromordinal(day) for day in range(low + 1, high)]))


def round_values(low: float, high: float, most: int = _MOST_TICKS) -> list[float]:
    """Return about so many multiples of 1, 2 or 5 times a power of 10 between two values."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
    return [step * count for count in range(math.ceil(low / step - 0.001), math.floor(high / step + 0.001) + 1)]


def _date_ticks(days: Sequence[dt.date]) -> list[Tick]:
    """Return a few ticks of whole days, months or years among consecutive days."""
    ticks: list[Tick] = []
    for is_month, step, form in _DATE_STEPS:
        ticks = [Tick(day.toordinal(), day.strftime(form)) for day in days if _is_step(day, step, is_month=is_month)]
        if len(ticks) <= _MOST_TICKS:
            break
    return ticks


def _is_step(day: dt.date, step: int, *, is_month: bool) -> bool:
    """Whether a day begins a period of some days or months."""
    if is_month:
        return day.day == 1 and (12 * day.year + day.month - 1) % step == 0
    return day.toordinal() % step == 0


class Chart:
    """A chart in a figure.

    Args:
        figure: Figure that it is added to.
        x: Horizontal axis.
        y: Vertical axis.
        plane: Rectangle between the axes.
    """

    def __init__(self, figure: Element, x: Axis, y: Axis, plane: Frame = PLANE) -> None:
        self._figure, self._x, self._y, self._plane = figure, x, y, plane
        self._named: list[tuple[str | Name, Style]] = []
        self._draw_axes()

    def point(self, x: float, y: float) -> Point:
        """Return the point of two values."""
        left, top, right, bottom = self._plane
        return Point(left + self._x.share(x) * (right - left), bottom - self._y.share(y) * (bottom - top))

    def draw(self, x: Iterable[float], y: Iterable[float], style: Style, name: str | Name = "") -> None:
        """Draw values as a line or marks, and name them in the legend, unless the name is empty."""
        add_line(self._figure, map(self.point, x, y), style)
        if name:
            self._named.append((name, style))

    def draw_intervals(self, x: Iterable[float], intervals: Iterable[Interval], colour: str = BLUE) -> None:
        """Draw the intervals of shares as vertical lines."""
        ends = ((self.point(at, each.low), self.point(at, each.high)) for at, each in zip(x, intervals, strict=True))
        path = " ".join(f"M{low.x:.1f} {low.y:.1f}V{high.y:.1f}" for low, high in ends)
        add(self._figure, "path", d=path, stroke=colour, stroke_width=1.6, opacity=0.75)

    def draw_band(self, x: Sequence[float], intervals: Sequence[Interval]) -> None:
        """Draw the intervals of many shares as a band."""
        above = [self.point(at, each.high) for at, each in zip(x, intervals, strict=True)]
        below = [self.point(at, each.low) for at, each in zip(x, intervals, strict=True)]
        points = " ".join(f"{each.x:.1f},{each.y:.1f}" for each in [*above, *reversed(below)])
        add(self._figure, "polygon", points=points, fill=BLUE, opacity=0.18)

    def add_legend(self) -> Frame:
        """Add the legend above the chart, and return the frame of both."""
        entries, x, row = [], 0.0, 0
        for name, style in self._named:
            width = _HANDLE + 6 + text_width(name, MEDIUM)
            if x and x + width > self._plane.right:
                x, row = 0.0, row + 1
            entries.append((x, row, name, style))
            x += width + _GAP
        legend, top = add(self._figure, "g"), self._plane.top - 8
        for x, row_of, name, style in entries:
            y = top - _ROW * (row - row_of + 0.5)
            ends = [Point(x, y), Point(x + _HANDLE, y)]
            add_line(legend, ends, style._replace(mark="", opacity=1.0))
            add_line(legend, [Point(x + _HANDLE / 2, y)], style._replace(width=0))
            add_text(legend, name, Point(x + _HANDLE + 6, y), MEDIUM)
        return self.frame()._replace(top=top - _ROW * (row + 1))

    def frame(self) -> Frame:
        """Return the frame of the chart with its axes."""
        left, top, right, bottom = self._plane
        below = _BELOW + (_NAME_BELOW if self._x.name else 0)
        return Frame(left - _LEFT, top, right + _RIGHT, bottom + below)

    def _draw_axes(self) -> None:
        left, top, right, bottom = self._plane
        across = [(self.point(value, self._y.low).x, text) for value, text in self._x.ticks]
        upward = [(self.point(self._x.low, value).y, text) for value, text in self._y.ticks]
        lines = [*(f"M{x:.1f} {top}V{bottom}" for x, _ in across), *(f"M{left} {y:.1f}H{right}" for y, _ in upward)]
        add(self._figure, "path", d=" ".join(lines), stroke=GRID)
        add(self._figure, "path", d=f"M{left} {top}V{bottom}H{right}", stroke=SOFT, fill="none")
        for x, text in across:
            add_text(self._figure, text, Point(x, bottom + 14), MEDIUM, text_anchor="middle", fill=SOFT)
        for y, text in upward:
            add_text(self._figure, text, Point(left - 8, y), MEDIUM, text_anchor="end", fill=SOFT)
        below, beside = Point((left + right) / 2, bottom + _BELOW + 8), Point(left - _LEFT + 10, (top + bottom) / 2)
        add_text(self._figure, self._x.name, below, LARGE, text_anchor="middle")
        add_text(self._figure, self._y.name, beside, LARGE, text_anchor="middle", rotate=-90)
