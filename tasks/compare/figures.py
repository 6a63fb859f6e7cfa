"""Figures of a comparison: accuracy against photos, and against seconds."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from tasks.compare.settings import WAYS, Way
from tasks.compare.table import AveragedResult
from tasks.report.svg import BLUE, GREEN, SOFT, VERMILION, add_legend, font, format_axes, new_figure, to_svg

#: Colours, and markers for readers who do not see them.
_STYLES: dict[Way, tuple[str, str]] = {
    "head": (BLUE, "o"),
    "scratch": (VERMILION, "s"),
    "finetune": (GREEN, "^"),
}


def photos_figure(points: Sequence[AveragedResult]) -> str:
    """Draw the accuracy of each way against its number of training photos, with its 95 % interval, as SVG."""
    figure, axes = _draw(points, lambda point: float(point.photos), "Training photos")
    ticks = sorted({point.photos for point in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    return to_svg(figure, "by-photos", "Test accuracy of each way against the number of training photos.")


def seconds_figure(points: Sequence[AveragedResult]) -> str:
    """Draw the accuracy of each way against the seconds of its training, with its 95 % interval, as SVG."""
    figure, axes = _draw(points, lambda point: point.seconds, "Seconds of training; at each mark, its training photos")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    for point in points:
        axes.annotate(
            f"{point.photos:,}",
            (point.seconds, point.accuracy),
            xytext=(4, 5),
            textcoords="offset points",
            fontproperties=font(7.5),
            color=SOFT,
        )
    return to_svg(figure, "by-seconds", "Test accuracy of each way against the seconds of its training.")


def _draw(points: Sequence[AveragedResult], x: Callable[[AveragedResult], float], name: str) -> tuple[Figure, Axes]:
    figure = new_figure(7.6, 4.6)
    axes = figure.add_axes((0.09, 0.13, 0.89, 0.84))
    line: dict[str, Any] = {"markersize": 6, "linewidth": 1.8, "elinewidth": 1, "capsize": 3}
    for way, (colour, marker) in _STYLES.items():
        own = [point for point in points if point.way == way]
        bounds = [[p.accuracy - p.interval.low for p in own], [p.interval.high - p.accuracy for p in own]]
        line |= {"color": colour, "marker": marker, "label": WAYS[way]}
        axes.errorbar([x(point) for point in own], [point.accuracy for point in own], yerr=bounds, **line)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1)
    format_axes(axes, name, "Test accuracy, with 95 % interval")
    add_legend(axes)
    return figure, axes
