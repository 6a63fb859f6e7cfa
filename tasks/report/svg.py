"""Elements and style of all figures: SVG in the page's colours, one unit a CSS pixel.

Ink, grid and ground are variables of the page's style, so that a figure follows its light, dark and print colours; in
its own file a figure has the light ones. Text stays text, in the browser's fonts, so that every script can be read,
searched and copied; its width is an estimate. Figures have no ids, styles and scripts, which would meet the page's own.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

INK, SOFT = "var(--ink, #26313b)", "var(--soft, #5b6873)"
GRID, GROUND = "var(--grid, #dfe5ea)", "var(--ground, #ffffff)"
#: Colours that people with any kind of colour vision tell apart, on white and on black (Okabe & Ito 2008).
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
NAME_LENGTH = 28
#: Font sizes: of the names of axes, of other texts, and of texts between marks.
LARGE, MEDIUM, SMALL = 13.0, 12.0, 10.5

_MARGIN = 4.0
_LETTER, _CAPITAL, _WIDE = 0.58, 0.7, 1.0  # widths by the font's size, as in a wide font
#: Corners of marks by shape, in units of half their width.
_CORNERS: dict[str, Sequence[tuple[float, float]]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
    "star": (
        (0, -1.5), (0.34, -0.46), (1.43, -0.46), (0.55, 0.18), (0.88, 1.21),
        (0, 0.57), (-0.88, 1.21), (-0.55, 0.18), (-1.43, -0.46), (-0.34, -0.46),
    ),
}  # fmt: skip


class Point(NamedTuple):
    """A point of a figure, to the right and below its origin."""

    x: float
    y: float


class Name(NamedTuple):
    """A name from a user, as a figure shows it and whole."""

    text: str
    whole: str


class Style(NamedTuple):
    """Style of a line with marks."""

    colour: str
    width: float = 2.4  #: Width of the line; 0 for marks alone.
    dashes: str = ""  #: Lengths of dashes and gaps; empty for a solid line.
    mark: str = ""  #: Shape of the marks: "circle", "square", "triangle" or "star"; empty for a line alone.
    size: float = 3.0  #: Half the width of a mark.
    opacity: float = 1.0


class Frame(NamedTuple):
    """A rectangle of a figure."""

    left: float
    top: float
    right: float
    bottom: float


def add(parent: Element, tag: str, text: str = "", **attributes: str | float) -> Element:
    """Add an element. Underscores in names of attributes stand for hyphens; numbers are rounded to a hundredth."""
    written = {
        name.replace("_", "-"): value if isinstance(value, str) else f"{round(value, 2) + 0.0:.7g}"
        for name, value in attributes.items()
    }
    element = SubElement(parent, tag, written)
    element.text = text or None
    return element


def place(element: Element, frame: Frame) -> None:
    """Make a rectangle or an image fill a frame."""
    left, top, right, bottom = frame
    sides = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    element.attrib |= {name: f"{value:.2f}" for name, value in sides.items()}


def add_line(parent: Element, points: Iterable[Point], style: Style) -> None:
    """Add a line through points, and a mark at each."""
    points = list(points)
    if style.width:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        line = add(parent, "polyline", points=path, fill="none", stroke=style.colour, stroke_width=style.width)
        if style.dashes:
            line.set("stroke-dasharray", style.dashes)
        if style.opacity < 1:
            line.set("opacity", f"{style.opacity}")
    for x, y in points if style.mark else ():
        if style.mark == "circle":
            add(parent, "circle", cx=x, cy=y, r=style.size, fill=style.colour)
        else:
            corners = (f"{x + style.size * dx:.1f},{y + style.size * dy:.1f}" for dx, dy in _CORNERS[style.mark])
            add(parent, "polygon", points=" ".join(corners), fill=style.colour)


def show_name(name: str, index: int) -> Name:
    """Return a name from a user as a figure shows it; a long one loses its middle.

    A character that cannot be shown becomes a box, and the position in its list then identifies the name.
    """
    shown = "".join(letter if letter.isprintable() else "□" for letter in name)
    if shown != name:
        shown = f"{index + 1} {shown}"
    short = shown if len(shown) <= NAME_LENGTH else f"{shown[: NAME_LENGTH - 11]}…{shown[-10:]}"
    return Name(short, shown)


def add_text(parent: Element, text: str | Name, at: Point, size: float, **attributes: str | float) -> None:
    """Add a text whose middle is at the height of a point, or, turned by `rotate` degrees, turns about it.

    A tooltip shows the whole of a name. An empty text adds nothing.
    """
    shown, whole = text if isinstance(text, Name) else (text, text)
    if not shown:
        return
    angle = attributes.pop("rotate", 0)
    if angle:
        attributes |= {"x": 0, "y": 0, "transform": f"translate({at.x:.1f} {at.y:.1f}) rotate({angle})"}
    else:
        attributes |= {"x": at.x, "y": at.y}
    element = add(parent, "text", shown, **{"dy": ".35em", "font_size": size, "fill": INK, **attributes})
    if whole != shown:
        add(element, "title", whole)


def text_width(text: str | Name, size: float) -> float:
    """Estimate the width of a text."""
    return size * sum(map(_letter_width, text.text if isinstance(text, Name) else text))


def to_svg(figure: Element, frame: Frame, label: str) -> str:
    """Return a figure as an SVG element that can stand in a page, given its frame and its alternative text."""
    left, top = frame.left - _MARGIN, frame.top - _MARGIN
    width, height = frame.right + _MARGIN - left, frame.bottom + _MARGIN - top
    figure.attrib |= {
        "width": f"{width:.0f}",
        "height": f"{height:.0f}",
        "viewBox": f"{left:.0f} {top:.0f} {width:.0f} {height:.0f}",
        "role": "img",
        "aria-label": label,
    }
    return tostring(figure, encoding="unicode")


def new_figure() -> Element:
    """Return an empty figure."""
    attributes = {"font-family": "system-ui, sans-serif", "stroke-linejoin": "round"}
    return Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **attributes})


def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return _WIDE
    return _CAPITAL if letter.isupper() else _LETTER
