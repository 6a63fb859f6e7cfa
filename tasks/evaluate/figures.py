"""Pictures of an evaluation, as PNG files."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from tasks.evaluate.drawing import FONT, GRID, INK, dress, font, new_figure, to_png
from tasks.train.curve import Weights

_COUNTED_LABELS = 25  # beyond, a cell is too small for its count
_NAME_LENGTH = 28
_LARGEST_SIDE = 20.0  # inches
_LINE_PITCH = 0.12  # inches between the smallest legible names
_MARKED_POINTS = 25
_LEAST_SPAN = 0.1  # of accuracies: the noise of a few photos is not to fill the figure
#: Name, colour and dashes of each line; colours for any kind of colour vision (Okabe & Ito 2008).
_CURVES: Mapping[Weights, tuple[str, str, str]] = {
    "averages": ("moving averages of the weights", "#0072b2", "-"),
    "plain": ("the weights as they are", "#d55e00", "--"),
}


def confusion_matrix_figure(confusion: NDArray[np.integer[Any]], labels: Sequence[str]) -> bytes:
    """Draw a confusion matrix, coloured by the share of a true label's photos.

    Up to 25 labels every cell that is not 0 also shows its count. Long names lose their middle. In a name, a character
    that the font lacks becomes a box, and the label's number (from 1) stands before it to tell it by.

    Args:
        confusion: int [C, C], photos by true label (rows) and predicted label (columns); C at least 1.
        labels: The C labels, in the order of rows and columns.

    Returns:
        The bytes of a PNG file.
    """
    count = len(labels)
    cell = _cell_side(count)
    side = cell * count
    figure = new_figure(side + 1.0, side)
    axes = figure.add_axes((0, 0, side / (side + 1.0), 1))
    totals = confusion.sum(axis=1, keepdims=True)
    # The root brings out the small shares: a mistake in a hundred is what one looks for.
    picture = axes.imshow(
        confusion / np.maximum(totals, 1), cmap=colormaps["Blues"], norm=PowerNorm(0.5, 0, 1), interpolation="nearest"
    )
    _name_axes(axes, labels, cell)
    if count <= _COUNTED_LABELS:
        _write_counts(axes, confusion, cell)
    _draw_scale(figure, picture, side)
    return to_png(figure)


def learning_curve_figure(curves: Mapping[Weights, pa.Table]) -> bytes:
    """Draw the accuracy on the validation split against the training steps, a line for each kind of weights.

    Args:
        curves: Tables of the columns of `CURVE`, in the order of their steps, none of them empty.

    Returns:
        The bytes of a PNG file.
    """
    figure = new_figure(7.0, 3.4)
    axes = figure.add_axes((0.1, 0.16, 0.88, 0.72))
    for weights, curve in curves.items():
        name, colour, dashes = _CURVES[weights]
        # With a few points the eye needs marks; with many they would hide the line.
        mark = "o" if len(curve) <= _MARKED_POINTS else ""
        steps, accuracies = curve["step"].to_numpy(), curve["accuracy"].to_numpy()
        axes.plot(steps, accuracies, dashes, label=name, color=colour, linewidth=1.8, marker=mark, markersize=4)
    low, high = axes.dataLim.intervaly
    spread = max(0.0, _LEAST_SPAN - (high - low)) / 2 + 0.01
    axes.set_ylim(max(0.0, low - spread), min(1.0, high + spread) + 0.005)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    dress(axes, "Training steps", "Accuracy on validation photos")
    return to_png(figure)


def _cell_side(count: int) -> float:
    """Height and width of a cell in inches: large for few labels, and bounded as a whole for many."""
    if count <= _COUNTED_LABELS:
        return min(1.2, max(0.45, 3.8 / count))
    return min(max(0.16, 8 / count), _LARGEST_SIDE / count)


def _draw_scale(figure: Figure, picture: AxesImage, side: float) -> None:
    height = min(1.0, 4.0 / side)
    bar = figure.colorbar(
        picture,
        cax=figure.add_axes(((side + 0.15) / (side + 1.0), 1 - height, 0.16 / (side + 1.0), height)),
        format=PercentFormatter(1.0, decimals=0),
        ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1],
    )
    bar.set_label("Share of the true label's photos", fontproperties=font(9), color=INK)
    bar.ax.tick_params(labelsize=8, labelfontfamily=FONT, labelcolor=INK, color=INK, width=0.6)
    bar.outline.set_visible(False)


def _name_axes(axes: Axes, labels: Sequence[str], cell: float) -> None:
    step = math.ceil(_LINE_PITCH / cell)  # of many labels only every so many-th has room for its name
    places = range(0, len(labels), step)
    names = [_drawable(label, number) for number, label in enumerate(labels, 1)][::step]
    name_font = font(min(9.0, 72 * max(cell, _LINE_PITCH) * 0.7))
    axes.set_xticks(places, names, parse_math=False, fontproperties=name_font, color=INK)
    axes.set_yticks(places, names, parse_math=False, fontproperties=name_font, color=INK)
    if max(map(len, names)) * 0.09 > cell:  # inches a letter; they would run into each other
        upright = cell < 0.3
        for name in axes.get_xticklabels():
            name.set(rotation=90 if upright else 45, rotation_mode="anchor")
            name.set(horizontalalignment="right", verticalalignment="center" if upright else "top")
    axes.set_xlabel("Predicted label", fontproperties=font(10), color=INK, labelpad=8)
    axes.set_ylabel("True label", fontproperties=font(10), color=INK, labelpad=8)
    edges = np.arange(len(labels) + 1) - 0.5
    axes.vlines(edges, edges[0], edges[-1], color=GRID, linewidth=min(1.0, 2.5 * cell))
    axes.hlines(edges, edges[0], edges[-1], color=GRID, linewidth=min(1.0, 2.5 * cell))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, confusion: NDArray[np.integer[Any]], cell: float) -> None:
    digits = len(str(confusion.max()))
    count_font = font(min(11.0, 72 * cell * 0.85 / (0.64 * digits)))  # DejaVu's digits are 0.64 em wide
    totals = confusion.sum(axis=1)
    for row, column in zip(*np.nonzero(confusion), strict=True):
        dark = confusion[row, column] > 0.3 * totals[row]
        colour = "white" if dark else INK
        axes.text(
            column, row, str(confusion[row, column]), ha="center", va="center", fontproperties=count_font, color=colour
        )


def _drawable(label: str, number: int) -> str:
    """Return the label as the font can draw it: a character that it lacks would be a warning and an empty space."""
    glyphs = get_font(findfont(FONT)).get_charmap()
    drawn = "".join(letter if ord(letter) in glyphs and letter.isprintable() else "□" for letter in label)
    if drawn != label:
        drawn = f"{number} {drawn}"
    if len(drawn) > _NAME_LENGTH:
        drawn = f"{drawn[: _NAME_LENGTH - 11]}…{drawn[-10:]}"
    return drawn
