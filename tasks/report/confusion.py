"""Figure of the confusion matrix."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.report.svg import (
    BLUE,
    GRID,
    INK,
    LARGE,
    MEDIUM,
    SMALL,
    SOFT,
    Frame,
    Point,
    add,
    add_text,
    new_figure,
    place,
    show_name,
    text_width,
    to_svg,
)

_COUNTED_LABELS = 25  # beyond, a cell is too small for its count
_LARGEST_SIDE = 1920.0
_SCALE_HEIGHT = 384.0
_LINE_PITCH = 11.5  # between the smallest legible names
_WHITE_FROM = 0.8  # opacity of a cell's colour from which white is read better on it than ink
_SCALE = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)
_SCALE_NAME = "Share of the true label's photos"


def confusion_figure(confusion: NDArray[np.integer[Any]], labels: Sequence[str]) -> str:
    """Draw a confusion matrix as an SVG element, coloured by the share of the true label's photos.

    With up to 25 labels, cells above 0 also show their counts. With many, only every n-th label has a name.

    Args:
        confusion: int [C, C], photos by true label (rows) and predicted label (columns); C at least 1.
        labels: The C labels, in the order of rows and columns.
    """
    figure, count, cell = new_figure(), len(labels), _cell_side(len(labels))
    side = cell * count
    # The root brings out small shares, such as a mistake in a hundred.
    opacity = np.sqrt(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1))
    _draw_shades(figure, opacity, Frame(0, 0, side, side))
    lines = " ".join(f"M{edge:.1f} 0V{side:.1f}M0 {edge:.1f}H{side:.1f}" for edge in np.arange(count + 1) * cell)
    add(figure, "path", d=lines, stroke=GRID, stroke_width=min(1.3, 0.035 * cell))
    if count <= _COUNTED_LABELS:
        _write_counts(figure, confusion, opacity, cell)
    left, below = _write_names(figure, labels, cell)
    right, beyond = _draw_scale(figure, side)
    frame = Frame(-left, -beyond, right, side + max(below, beyond))
    photos = f"{np.trace(confusion):,} of {confusion.sum():,} photos lie on its diagonal"
    return to_svg(figure, frame, f"Confusion matrix of the test split, true labels by row: {photos}.")


def _cell_side(count: int) -> float:
    """Return height and width of a cell: large for few labels; the matrix of many has a largest size."""
    if count <= _COUNTED_LABELS:
        return min(115.0, max(43.0, 365 / count))
    return min(max(15.4, 768 / count), _LARGEST_SIDE / count)


def _draw_shades(figure: Element, opacity: NDArray[np.float64], frame: Frame) -> None:
    """Draw blue of each opacity, float64 [rows, columns] in [0, 1], as one image of a pixel each."""
    image = Image.fromarray(np.round(255 * opacity).astype(np.uint8)).convert("P")
    image.putpalette(bytes.fromhex(BLUE.removeprefix("#")) * 256)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, transparency=bytes(range(256)))
    data = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    pixels = add(figure, "image", href=data, preserveAspectRatio="none", image_rendering="pixelated")
    place(pixels, frame)


def _draw_scale(figure: Element, side: float) -> tuple[float, float]:
    """Draw the scale of the colours; returns its right edge, and by how much its name is longer than the matrix."""
    height, left = min(side, _SCALE_HEIGHT), side + 14
    _draw_shades(figure, np.linspace(1, 0, 256)[:, None], Frame(left, 0, left + 15, height))
    last = math.inf
    for share in _SCALE:
        y = height * (1 - math.sqrt(share))
        if last - y >= SMALL:  # they would run into each other
            add_text(figure, f"{100 * share:.0f}\u00a0%", Point(left + 20, y), SMALL, fill=SOFT)
            last = y
    beside = Point(left + 66, height / 2)
    add_text(figure, _SCALE_NAME, beside, MEDIUM, text_anchor="middle", rotate=-90)
    return beside.x + MEDIUM, max(SMALL / 2, (text_width(_SCALE_NAME, MEDIUM) - height) / 2)


def _write_names(figure: Element, labels: Sequence[str], cell: float) -> tuple[float, float]:
    """Name rows and columns; returns the room to the left of the matrix and below it."""
    step = math.ceil(_LINE_PITCH / cell)  # of many labels only every n-th has room for its name
    size, side = min(MEDIUM, 0.75 * max(cell, _LINE_PITCH)), cell * len(labels)
    names = [show_name(label, index) for index, label in enumerate(labels)]
    widest = max(text_width(name, size) for name in names)
    if widest < cell - 6:
        angle, below = 0, size
    else:  # they would run into each other
        angle = -90 if cell < 29 else -45
        below = widest * math.sin(math.radians(-angle)) + size
    for index, name in list(enumerate(names))[::step]:
        middle = cell * (index + 0.5)
        anchor = "end" if angle else "middle"
        add_text(figure, name, Point(-6, middle), size, text_anchor="end")
        under = Point(middle, side + 6 + (0 if angle else size / 2))
        add_text(figure, name, under, size, text_anchor=anchor, rotate=angle)
    left, below = widest + 6 + 2 * LARGE, below + 6 + 2 * LARGE
    add_text(figure, "Predicted label", Point(side / 2, side + below - LARGE / 2), LARGE, text_anchor="middle")
    add_text(figure, "True label", Point(LARGE / 2 - left, side / 2), LARGE, text_anchor="middle", rotate=-90)
    return left, below


def _write_counts(
    figure: Element, confusion: NDArray[np.integer[Any]], opacity: NDArray[np.float64], cell: float
) -> None:
    digits = len(str(confusion.max()))
    size = min(14.5, cell * 0.85 / (0.64 * digits))  # the digits are 0.64 em wide
    for row, column in zip(*np.nonzero(confusion), strict=True):
        colour = "#ffffff" if opacity[row, column] > _WHITE_FROM else INK
        middle = Point(cell * (column + 0.5), cell * (row + 0.5))
        add_text(figure, str(confusion[row, column]), middle, size, text_anchor="middle", fill=colour)
