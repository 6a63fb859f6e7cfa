"""Line figures: calibration, precision and recall, learning curve, and accuracy of the dataset's runs."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tasks.evaluate.metrics import BINS, Interval
from tasks.paths import AnyPath
from tasks.report import svg
from tasks.report.results import ConfidenceBin, Doubles, PrecisionRecall
from tasks.runs.records import RunRecord
from tasks.train.curve import WEIGHTS, Weights, curve_path, read_curve

_MARKED_POINTS = 25
_NAMED_LABELS = 10
_LINE_POINTS = 200
_ALL_POINTS = 20_000
_MARKED_RUNS = 60  # of more, markers and intervals would run into each other
#: Name, colour and dashes of each line.
_CURVES: Mapping[Weights, tuple[str, str, str]] = {
    "averages": ("moving averages of the weights", svg.BLUE, "-"),
    "plain": ("the weights as they are", svg.VERMILION, "--"),
}
_LABEL_STYLES = [
    (colour, dashes)
    for dashes in ("-", "--")
    for colour in (svg.BLUE, svg.VERMILION, svg.GREEN, svg.PURPLE, svg.ORANGE)
]


def reliability_figure(bins: Sequence[ConfidenceBin]) -> str:
    """Draw accuracy against confidence, and the number of photos of each bin, as an SVG element."""
    figure = svg.new_figure(svg.WIDTH, svg.HEIGHT + 0.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    figure.subplots_adjust(0, 0, 1, 1, hspace=0.12)
    axes.plot([0, 1], [0, 1], "--", color=svg.SOFT, linewidth=1.2, label="perfect calibration")
    confidence, accuracy = [each.confidence for each in bins], [each.accuracy for each in bins]
    svg.draw_intervals(axes, confidence, [each.interval for each in bins])
    axes.plot(
        confidence, accuracy, "o-", color=svg.BLUE, linewidth=1.8, markersize=5, label="accuracy, with 95 % interval"
    )
    photos = [each.photos for each in bins]
    below.bar(
        [each.low for each in bins], photos, 1 / BINS, align="edge", color=svg.BLUE, edgecolor=svg.GROUND, linewidth=1
    )
    axes.set_ylim(0, 1.02)
    svg.format_axes(axes, "", "Accuracy")
    svg.add_legend(axes)
    svg.format_axes(below, "Confidence: the probability of the predicted label", "Photos")
    below.set_xlim(0, 1)
    below.xaxis.set_major_formatter(svg.PERCENT)
    below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    figure.align_ylabels([axes, below])
    return svg.to_svg(
        figure, "reliability", "Accuracy of the test split's photos against the confidence of the prediction."
    )


def precision_recall_figure(curves: Mapping[str, PrecisionRecall], average: PrecisionRecall) -> str:
    """Draw precision against recall as an SVG element: up to 10 labels in styles of their own, more as thin lines."""
    figure, axes = svg.new_axes()
    named = len(curves) <= _NAMED_LABELS
    most = max(2, min(_LINE_POINTS, _ALL_POINTS // len(curves)))
    style: dict[str, Any] = {"color": svg.INK, "linewidth": 2.4} if named else {"color": svg.BLUE, "linewidth": 2.8}
    axes.plot(*_thin_out(average, _LINE_POINTS), label="all labels together", zorder=3, **style)
    for number, curve in enumerate(curves.values()):
        if named:
            colour, dashes = _LABEL_STYLES[number]
            style = {"color": colour, "linestyle": dashes, "linewidth": 1.6, "label": f"{number}"}
        else:
            style = {"color": svg.SOFT, "linewidth": 0.7, "alpha": 0.35, "label": "" if number else "each label"}
        axes.plot(*_thin_out(curve, most), **style)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(svg.PERCENT)
    svg.format_axes(axes, "Recall: of the photos with the label, the share found", "Precision")
    _, *texts = svg.add_legend(axes).get_texts()
    if named:
        for number, (text, label) in enumerate(zip(texts, curves, strict=True), 1):
            svg.write(text, label, number)
    return svg.to_svg(figure, "precision-recall", "Precision against recall on the test split, a line a label.")


def _thin_out(curve: PrecisionRecall, most: int) -> tuple[Doubles, Doubles]:
    """Return recall and precision at so many points at most."""
    count = len(curve.recall)
    indices = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return curve.recall[indices], curve.precision[indices]


def learning_curve_figure(folder: AnyPath) -> str | None:
    """Draw the learning curves of a head or network in this folder as an SVG element; None if no `watch` ran.

    Raises:
        StoreError: The file of a curve is damaged.
    """
    curves = {weights: read_curve(curve_path(folder, weights)) for weights in WEIGHTS}
    if not any(map(len, curves.values())):
        return None
    figure, axes = svg.new_axes()
    for weights, curve in curves.items():
        if not len(curve):
            continue
        name, colour, dashes = _CURVES[weights]
        # Markers show a few points; they would hide a line of many.
        marker = "o" if len(curve) <= _MARKED_POINTS else ""
        steps, accuracies = curve["step"].to_numpy(), curve["accuracy"].to_numpy()
        axes.plot(steps, accuracies, dashes, label=name, color=colour, linewidth=1.8, marker=marker, markersize=4)
    svg.limit_accuracies(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    svg.format_axes(axes, "Training steps", "Accuracy on validation photos")
    svg.add_legend(axes)
    return svg.to_svg(figure, "learning", "Accuracy on the validation split against training steps.")


def trend_figure(runs: Sequence[RunRecord]) -> str:
    """Draw the accuracies of at least two runs in their order by date as an SVG element, and mark new champions."""
    figure, axes = svg.new_axes()
    few = len(runs) <= _MARKED_RUNS
    _draw_test_accuracies(axes, runs, few=few)
    crossed = [(run.date, run.cross_validated) for run in runs if run.cross_validated is not None]
    if crossed:
        dates, values = zip(*crossed, strict=True)
        line = "s--" if few else "--"
        axes.plot(
            _days(dates), values, line, color=svg.VERMILION, linewidth=1.4, markersize=3.5, label="cross-validated"
        )
    champions = [run for run in runs if run.verdict in ("first", "new")]
    if champions:
        days, best = _days(run.date for run in champions), [run.accuracy for run in champions]
        (stars,) = axes.plot(days, best, "*", color=svg.ORANGE, markersize=10, label="new champion")
        stars.set(markeredgecolor=svg.GROUND, markeredgewidth=0.8)
    svg.limit_accuracies(axes)
    _limit_days(axes, _days(run.date for run in runs))
    svg.format_axes(axes, "", "Accuracy")
    axes.xaxis.get_offset_text().set(color=svg.SOFT, fontproperties=svg.font(9))
    svg.add_legend(axes, 3)
    return svg.to_svg(figure, "trend", f"Test accuracy of {len(runs)} runs by date.")


def _draw_test_accuracies(axes: Axes, runs: Sequence[RunRecord], *, few: bool) -> None:
    """Draw test accuracies with their intervals, which are lines of a few runs and a band of many."""
    days, accuracies = _days(run.date for run in runs), [run.accuracy for run in runs]
    bounds = [Interval(run.low, run.high) for run in runs]
    if few:
        svg.draw_intervals(axes, days, bounds)
    else:
        low, high = zip(*bounds, strict=True)
        axes.fill_between(days, low, high, color=svg.BLUE, alpha=0.18, linewidth=0)
    line = "o-" if few else "-"
    axes.plot(days, accuracies, line, color=svg.BLUE, linewidth=1.8, markersize=4, label="test, with 95 % interval")


def _limit_days(axes: Axes, days: Sequence[float]) -> None:
    """Leave at least a day on both sides, since all runs may have one date."""
    room = max(1.0, 0.03 * (days[-1] - days[0]))
    axes.set_xlim(days[0] - room, days[-1] + room)
    locator = AutoDateLocator(minticks=2, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _days(dates: Iterable[dt.date]) -> list[float]:
    """Return dates as Matplotlib counts them."""
    return [float(date2num(date)) for date in dates]
