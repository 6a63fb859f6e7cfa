"""Figures of a comparison: accuracy against photos, and against seconds."""

import math
from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from tasks.compare.settings import WAYS, Way
from tasks.compare.table import AveragedResult
from tasks.report.chart import Axis, Chart, Tick, share_axis
from tasks.report.svg import BLUE, GREEN, SMALL, SOFT, VERMILION, Frame, Point, Style, add_text, new_figure, to_svg

_PLANE = Frame(0, 0, 650, 370)
#: Colours, and marks for readers who do not see them.
_STYLES: dict[Way, Style] = {
    "head": Style(BLUE, mark="circle", size=4),
    "scratch": Style(VERMILION, mark="square", size=4),
    "finetune": Style(GREEN, mark="triangle", size=4),
}


def photos_figure(points: Sequence[AveragedResult]) -> str:
    """Draw the accuracy of each way against its number of training photos, with its 95 % interval, as SVG."""
    figure, counts = new_figure(), sorted({point.photos for point in points})
    ticks = [Tick(count, f"{count:,}") for count in counts]
    chart = _draw(figure, points, lambda point: point.photos, _log_axis("Training photos", counts, ticks))
    return to_svg(figure, chart.add_legend(), "Test accuracy of each way against the number of training photos.")


def seconds_figure(points: Sequence[AveragedResult]) -> str:
    """Draw the accuracy of each way against the seconds of its training, with its 95 % interval, as SVG."""
    figure, seconds = new_figure(), [point.seconds for point in points]
    powers = range(math.floor(math.log10(min(seconds))) - 1, math.ceil(math.log10(max(seconds))) + 1)
    ticks = [Tick(value, f"{value:,g}") for power in powers for value in (10.0**power, 3 * 10.0**power)]
    name = "Seconds of training; at each mark, its training photos"
    chart = _draw(figure, points, lambda point: point.seconds, _log_axis(name, seconds, ticks))
    for point in points:
        at = chart.point(point.seconds, point.accuracy)
        add_text(figure, f"{point.photos:,}", Point(at.x + 5, at.y - 9), SMALL, fill=SOFT)
    return to_svg(figure, chart.add_legend(), "Test accuracy of each way against the seconds of its training.")


def _log_axis(name: str, values: Sequence[float], ticks: Sequence[Tick]) -> Axis:
    """Return a logarithmic axis with room for values above 0, and those of the ticks that lie on it."""
    room = max(1.15, (max(values) / min(values)) ** 0.04)
    low, high = min(values) / room, max(values) * room
    return Axis(low, high, [tick for tick in ticks if low <= tick.value <= high], name, math.log)


def _draw(figure: Element, points: Sequence[AveragedResult], x: Callable[[AveragedResult], float], axis: Axis) -> Chart:
    chart = Chart(figure, axis, share_axis("Test accuracy, with 95 % interval", high=1), _PLANE)
    for way, style in _STYLES.items():
        own = [point for point in points if point.way == way]
        values = [x(point) for point in own]
        chart.draw_intervals(values, [point.interval for point in own], style.colour)
        chart.draw(values, [point.accuracy for point in own], style, WAYS[way])
    return chart
