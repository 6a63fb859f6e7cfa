"""Figure of the confusion matrix."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from tasks.report.svg import BLUE, FONT, GRID, INK, NAME_LENGTH, PERCENT, SOFT, font, new_figure, to_svg, write

_COUNTED_LABELS = 25  # beyond, a cell is too small for its count
_LARGEST_SIDE = 20.0  # inches
_LINE_PITCH = 0.12  # inches between the smallest legible names
_LETTER = 0.09  # inches, of the widest names
_WHITE_FROM = 0.8  # opacity of a cell's colour from which white is read better on it than ink
_SHADES = LinearSegmentedColormap.from_list("shades", [to_rgba(BLUE, 0), to_rgba(BLUE, 1)])
_SCALE = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)


def confusion_figure(confusion: NDArray[np.integer[Any]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix as an SVG element, coloured by the share of the true label's photos.

    With up to 25 labels, cells above 0 also show their counts. With many, only every n-th label has a name.

    Args:
        confusion: int [C, C], photos by true label (rows) and predicted label (columns); C at least 1.
        labels: The C labels, in the order of rows and columns.
    """
    count = len(labels)
    cell = _cell_side(count)
    side = cell * count
    figure = new_figure(side + 1.0, side)
    axes = figure.add_axes((0, 0, side / (side + 1.0), 1))
    axes.patch.set_visible(False)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    # The root brings out small shares, such as a mistake in a hundred.
    image = axes.imshow(shares, cmap=_SHADES, norm=PowerNorm(0.5, 0, 1), interpolation="none")
    _name_axes(axes, labels, cell)
    if count <= _COUNTED_LABELS:
        _write_counts(axes, confusion, shares, cell)
    _draw_scale(figure, image, side)
    right = f"{np.trace(confusion):,} of {confusion.sum():,} photos lie on its diagonal"
    return to_svg(figure, "confusion", f"Confusion matrix of the test split, true labels by row: {right}.")


def _cell_side(count: int) -> float:
    """Return height and width of a cell in inches: large for few labels; the matrix of many has a largest size."""
    if count <= _COUNTED_LABELS:
        return min(1.2, max(0.45, 3.8 / count))
    return min(max(0.16, 8 / count), _LARGEST_SIDE / count)


def _draw_scale(figure: Figure, image: AxesImage, side: float) -> None:
    height = min(1.0, 4.0 / side)
    axes = figure.add_axes(((side + 0.15) / (side + 1.0), 1 - height, 0.16 / (side + 1.0), height))
    scale = figure.colorbar(image, axes, ticks=_SCALE, format=PERCENT)
    scale.set_label("Share of the true label's photos", fontproperties=font(9), color=INK)
    scale.outline.set_visible(False)
    axes.patch.set_visible(False)
    for shades in axes.collections:
        shades.set_rasterized(True)
    axes.tick_params(labelsize=8, labelfontfamily=FONT, labelcolor=SOFT, color=SOFT, width=0.6)


def _name_axes(axes: Axes, labels: Sequence[str], cell: float) -> None:
    step = math.ceil(_LINE_PITCH / cell)  # of many labels only every n-th has room for its name
    indices = range(0, len(labels), step)
    name_font = font(min(9.0, 72 * max(cell, _LINE_PITCH) * 0.7))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(indices, [""] * len(indices))
        texts = axis.get_ticklabels()
        for index, text in zip(indices, texts, strict=True):
            write(text, labels[index], index + 1)
        # An axis draws its labels from the texts that it was given.
        axis.set_ticks(indices, [text.get_text() for text in texts], fontproperties=name_font, color=INK)
    if min(max(map(len, labels)), NAME_LENGTH) * _LETTER > cell:  # they would run into each other
        upright = cell < 0.3
        for text in axes.get_xticklabels():
            text.set(rotation=90 if upright else 45, rotation_mode="anchor")
            text.set(horizontalalignment="right", verticalalignment="center" if upright else "top")
    axes.set_xlabel("Predicted label", fontproperties=font(10), color=INK, labelpad=8)
    axes.set_ylabel("True label", fontproperties=font(10), color=INK, labelpad=8)
    edges = np.arange(len(labels) + 1) - 0.5
    axes.vlines(edges, edges[0], edges[-1], color=GRID, linewidth=min(1.0, 2.5 * cell))
    axes.hlines(edges, edges[0], edges[-1], color=GRID, linewidth=min(1.0, 2.5 * cell))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _write_counts(axes: Axes, confusion: NDArray[np.integer[Any]], shares: NDArray[np.float64], cell: float) -> None:
    digits = len(str(confusion.max()))
    count_font = font(min(11.0, 72 * cell * 0.85 / (0.64 * digits)))  # the digits are 0.64 em wide
    for row, column in zip(*np.nonzero(confusion), strict=True):
        colour = "white" if shares[row, column] ** 0.5 > _WHITE_FROM else INK
        number = str(confusion[row, column])
        axes.text(column, row, number, ha="center", va="center", fontproperties=count_font, color=colour)
