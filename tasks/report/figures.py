"""Line figures: calibration, precision and recall, learning curve, and accuracy of the dataset's runs."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tasks.evaluate.metrics import BINS, Interval
from tasks.paths import AnyPath
from tasks.report.chart import PLANE, Axis, Chart, Tick, accuracy_axis, count_axis, date_axis, share_axis
from tasks.report.results import ConfidenceBin, Doubles, PrecisionRecall
from tasks.report.svg import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    ORANGE,
    PURPLE,
    SOFT,
    VERMILION,
    Frame,
    Style,
    add,
    new_figure,
    place,
    show_name,
    to_svg,
)
from tasks.runs.records import RunRecord
from tasks.train.curve import WEIGHTS, Weights, curve_path, read_curve

_DASHES = "8 4"
_MARKED_POINTS = 25
_NAMED_LABELS = 10
_LINE_POINTS = 200
_ALL_POINTS = 20_000
_MARKED_RUNS = 60  # of more, markers and intervals would run into each other
#: Name and style of each line.
_CURVES: Mapping[Weights, tuple[str, Style]] = {
    "averages": ("moving averages of the weights", Style(BLUE)),
    "plain": ("the weights as they are", Style(VERMILION, dashes=_DASHES)),
}
_LABEL_STYLES = [
    Style(colour, 2.1, dashes) for dashes in ("", _DASHES) for colour in (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
]
#: The many lines of unnamed labels, and the line of their average.
_UNNAMED, _AVERAGE_OF_UNNAMED = Style(SOFT, 0.9, opacity=0.35), Style(BLUE, 3.7)
_AVERAGE = Style(INK, 3.2)


def reliability_figure(bins: Sequence[ConfidenceBin]) -> str:
    """Draw accuracy against confidence, and the number of photos of each bin, as an SVG element."""
    figure, photos = new_figure(), [each.photos for each in bins]
    below = PLANE._replace(top=PLANE.bottom + 24, bottom=PLANE.bottom + 120)
    confidence = share_axis("Confidence: the probability of the predicted label", high=1)
    bars = Chart(figure, confidence, count_axis("Photos", 1.05 * max(photos), 3), below)
    for each in bins:
        left_top, right_bottom = bars.point(each.low, each.photos), bars.point(each.low + 1 / BINS, 0)
        place(add(figure, "rect", fill=BLUE, stroke=GROUND), Frame(*left_top, *right_bottom))
    unnamed = Axis(0, 1, [Tick(value, "") for value, _ in confidence.ticks])
    chart = Chart(figure, unnamed, share_axis("Accuracy"))
    chart.draw([0, 1], [0, 1], Style(SOFT, 1.6, "6 4"), "perfect calibration")
    values = [each.confidence for each in bins]
    chart.draw_intervals(values, [each.interval for each in bins])
    style = Style(BLUE, mark="circle", size=4)
    chart.draw(values, [each.accuracy for each in bins], style, "accuracy, with 95 % interval")
    frame = Frame(*chart.add_legend()[:3], bars.frame().bottom)
    return to_svg(figure, frame, "Accuracy of the test split's photos against the confidence of the prediction.")


def precision_recall_figure(curves: Mapping[str, PrecisionRecall], average: PrecisionRecall) -> str:
    """Draw precision against recall as an SVG element: up to 10 labels in styles of their own, more as thin lines."""
    figure = new_figure()
    recall = share_axis("Recall: of the photos with the label, the share found", high=1.01)
    chart = Chart(figure, recall, share_axis("Precision"))
    named = len(curves) <= _NAMED_LABELS
    most = max(2, min(_LINE_POINTS, _ALL_POINTS // len(curves)))
    for index, (label, curve) in enumerate(curves.items()):
        name = show_name(label, index) if named else "" if index else "each label"
        chart.draw(*_thin_out(curve, most), _LABEL_STYLES[index] if named else _UNNAMED, name)
    # Last, so that it is above the others.
    chart.draw(*_thin_out(average, _LINE_POINTS), _AVERAGE if named else _AVERAGE_OF_UNNAMED, "all labels together")
    return to_svg(figure, chart.add_legend(), "Precision against recall on the test split, a line a label.")


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
    tables = {weights: read_curve(curve_path(folder, weights)) for weights in WEIGHTS}
    curves = {
        weights: (table["step"].to_pylist(), table["accuracy"].to_pylist())
        for weights, table in tables.items()
        if len(table)
    }
    if not curves:
        return None
    figure, last = new_figure(), max(max(steps) for steps, _ in curves.values())
    accuracies = [accuracy for _, values in curves.values() for accuracy in values]
    accuracy = accuracy_axis("Accuracy on validation photos", accuracies)
    chart = Chart(figure, count_axis("Training steps", 1.03 * last), accuracy)
    for weights, (steps, values) in curves.items():
        name, style = _CURVES[weights]
        # Marks show a few points; they would hide a line of many.
        chart.draw(steps, values, style._replace(mark="circle" if len(steps) <= _MARKED_POINTS else ""), name)
    return to_svg(figure, chart.add_legend(), "Accuracy on the validation split against training steps.")


def trend_figure(runs: Sequence[RunRecord]) -> str:
    """Draw the accuracies of at least two runs in their order by date as an SVG element, and mark new champions."""
    figure, few = new_figure(), len(runs) <= _MARKED_RUNS
    bounds = [Interval(run.low, run.high) for run in runs]
    crossed = {run.date: run.cross_validated for run in runs if run.cross_validated is not None}
    values = [*crossed.values(), *(end for each in bounds for end in (each.low, each.high))]
    chart = Chart(figure, date_axis(runs[0].date, runs[-1].date), accuracy_axis("Accuracy", values))
    (chart.draw_intervals if few else chart.draw_band)(_days(run.date for run in runs), bounds)
    test = Style(BLUE, mark="circle" if few else "", size=3.3)
    chart.draw(_days(run.date for run in runs), [run.accuracy for run in runs], test, "test, with 95 % interval")
    if crossed:
        style = Style(VERMILION, 1.9, _DASHES, "square" if few else "", 3)
        chart.draw(_days(crossed), crossed.values(), style, "cross-validated")
    champions = [run for run in runs if run.verdict in ("first", "new")]
    if champions:
        stars = Style(ORANGE, 0, mark="star", size=4.5)
        chart.draw(_days(run.date for run in champions), [run.accuracy for run in champions], stars, "new champion")
    return to_svg(figure, chart.add_legend(), f"Test accuracy of {len(runs)} runs by date.")


def _days(dates: Iterable[dt.date]) -> list[int]:
    return [date.toordinal() for date in dates]
