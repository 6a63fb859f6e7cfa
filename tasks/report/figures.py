"""Figures of lines: calibration, precision and recall, and learning."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tasks.evaluate.metrics import BINS
from tasks.report.curves import Bin, Doubles, PrecisionRecall
from tasks.report.svg import (
    BLUE,
    GREEN,
    GROUND,
    HEIGHT,
    INK,
    ORANGE,
    PERCENT,
    PURPLE,
    SOFT,
    VERMILION,
    WIDTH,
    add_legend,
    draw_intervals,
    dress,
    limit_accuracies,
    new_figure,
    to_svg,
    write,
)
from tasks.train.curve import Weights

_MARKED_POINTS = 25
_NAMED_LABELS = 10
_LINE_POINTS = 200
_ALL_POINTS = 20_000
#: Name, colour and dashes of each line.
_CURVES: Mapping[Weights, tuple[str, str, str]] = {
    "averages": ("moving averages of the weights", BLUE, "-"),
    "plain": ("the weights as they are", VERMILION, "--"),
}
_LABEL_LOOKS = [(colour, dashes) for dashes in ("-", "--") for colour in (BLUE, VERMILION, GREEN, PURPLE, ORANGE)]


def reliability_figure(bins: Sequence[Bin]) -> str:
    """Draw how often predictions come true against how sure they are, and how many there are of each.

    Args:
        bins: As `bins_of_confidence` gives them.

    Returns:
        An SVG element.
    """
    figure = new_figure(WIDTH, HEIGHT + 0.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    figure.subplots_adjust(0, 0, 1, 1, hspace=0.12)
    axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1.2, label="perfect calibration")
    confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
    draw_intervals(axes, confidence, [one.interval for one in bins])
    axes.plot(confidence, accuracy, "o-", color=BLUE, linewidth=1.8, markersize=5, label="accuracy, with 95 % interval")
    photos = [one.photos for one in bins]
    below.bar([one.low for one in bins], photos, 1 / BINS, align="edge", color=BLUE, edgecolor=GROUND, linewidth=1)
    axes.set_ylim(0, 1.02)
    dress(axes, "", "Accuracy")
    add_legend(axes)
    dress(below, "Confidence: the probability of the predicted label", "Photos")
    below.set_xlim(0, 1)
    below.xaxis.set_major_formatter(PERCENT)
    below.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    figure.align_ylabels([axes, below])
    return to_svg(
        figure, "reliability", "Accuracy of the test split's photos against the confidence of the prediction."
    )


def precision_recall_figure(curves: Mapping[str, PrecisionRecall], average: PrecisionRecall) -> str:
    """Draw precision against recall: up to 10 labels a line of its own look, of more all thin lines, and their mean.

    Args:
        curves: A curve a label.
        average: That of all labels taken together (micro average): of a photo and a label, whether it has it.

    Returns:
        An SVG element.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_axes((0, 0, 1, 1))
    named = len(curves) <= _NAMED_LABELS
    most = max(2, min(_LINE_POINTS, _ALL_POINTS // len(curves)))
    look: dict[str, Any] = {"color": INK, "linewidth": 2.4} if named else {"color": BLUE, "linewidth": 2.8}
    axes.plot(*_thinned(average, _LINE_POINTS), label="all labels together", zorder=3, **look)
    for place, curve in enumerate(curves.values()):
        if named:
            colour, dashes = _LABEL_LOOKS[place]
            look = {"color": colour, "linestyle": dashes, "linewidth": 1.6, "label": f"{place}"}
        else:
            look = {"color": SOFT, "linewidth": 0.7, "alpha": 0.35, "label": "" if place else "each label"}
        axes.plot(*_thinned(curve, most), **look)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(PERCENT)
    dress(axes, "Recall: of the photos with the label, the share found", "Precision")
    _, *texts = add_legend(axes).get_texts()
    if named:
        for number, (text, label) in enumerate(zip(texts, curves, strict=True), 1):
            write(text, label, number)
    return to_svg(figure, "precision-recall", "Precision against recall on the test split, a line a label.")


def learning_curve_figure(curves: Mapping[Weights, pa.Table]) -> str:
    """Draw the accuracy on the validation split against the training steps, a line for each kind of weights.

    Args:
        curves: Tables of the columns of `CURVE`, in the order of their steps, none of them empty.

    Returns:
        An SVG element.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_axes((0, 0, 1, 1))
    for weights, curve in curves.items():
        name, colour, dashes = _CURVES[weights]
        # With a few points the eye needs marks; with many they would hide the line.
        mark = "o" if len(curve) <= _MARKED_POINTS else ""
        steps, accuracies = curve["step"].to_numpy(), curve["accuracy"].to_numpy()
        axes.plot(steps, accuracies, dashes, label=name, color=colour, linewidth=1.8, marker=mark, markersize=4)
    limit_accuracies(axes)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    dress(axes, "Training steps", "Accuracy on validation photos")
    add_legend(axes)
    return to_svg(figure, "learning", "Accuracy on the validation split against training steps.")


def _thinned(curve: PrecisionRecall, most: int) -> tuple[Doubles, Doubles]:
    """Recall and precision at so many points at most."""
    count = len(curve.recall)
    places = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return curve.recall[places], curve.precision[places]
