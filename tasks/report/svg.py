"""What all figures share: matplotlib's SVG without pyplot's global state, in the colours and the fonts of the page.

Ink and ground are drawn in colours that stand for the page's, and become `var(--ink)` and the like: a figure that is
inside a page follows it from light to dark and to print, and a figure that is a file of its own has the light ones.
Text stays text, in the browser's fonts, so that every script can be read, searched and copied.
"""

import io
import json
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.evaluate.metrics import Interval

FONT = "DejaVu Sans"  # Matplotlib brings it along; it is wider than what browsers take, so that texts keep their room
#: Colours that nothing else is drawn in, each in the place of one of the page's.
INK, SOFT, GRID, GROUND = "#010203", "#040506", "#070809", "#0a0b0c"
_PAGE_COLOURS = {
    INK: "var(--ink, #26313b)",
    SOFT: "var(--soft, #5b6873)",
    GRID: "var(--grid, #dfe5ea)",
    GROUND: "var(--ground, #ffffff)",
}
#: Colours that people with any kind of colour vision tell apart, on white and on black (Okabe & Ito 2008).
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
NAME_LENGTH = 28
#: Inches of a figure of lines: legible on a phone, and two beside each other on a desk.
WIDTH, HEIGHT = 5.6, 3.4
#: How shares are written.
PERCENT = PercentFormatter(1.0, decimals=0, symbol="\u00a0%")

_LEAST_SPAN = 0.1  # of accuracies: the noise of a few photos is not to fill the figure
_NAME = "name:"
_PIXELS_PER_POINT = 96 / 72
_SIZE = re.compile(r"[\d.]+px")
_FRACTION = re.compile(r"-?\d+\.\d{4,}")
_NAMESPACES = ("{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def font(points: float) -> FontProperties:
    """The font that all figures are laid out in."""
    return FontProperties(family=FONT, size=points)


def dress(axes: Axes, across: str, up: str) -> None:
    """Give axes of lines their names and their grid; call it when the lines are drawn.

    Args:
        axes: The axes; their vertical values are shares.
        across: Name of the horizontal axis.
        up: Name of the vertical one.
    """
    axes.patch.set_visible(False)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel(across, fontproperties=font(10), color=INK)
    axes.set_ylabel(up, fontproperties=font(10), color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(SOFT)
    axes.tick_params(labelsize=9, labelfontfamily=FONT, labelcolor=SOFT, color=SOFT)


def add_legend(axes: Axes, columns: int = 2) -> Legend:
    """Name the lines of axes above them."""
    return axes.legend(
        prop=font(9), loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, labelcolor=INK
    )


def draw_intervals(axes: Axes, across: Sequence[float], intervals: Sequence[Interval]) -> None:
    """Draw the intervals of shares as upright lines, each at its place from left to right."""
    low, high = zip(*intervals, strict=True)
    axes.vlines(across, low, high, color=BLUE, linewidth=1.2, alpha=0.75)


def limit_accuracies(axes: Axes) -> None:
    """Show the accuracies that are drawn already, but not as if a small difference were a large one."""
    low, high = axes.dataLim.intervaly
    spread = max(0.0, _LEAST_SPAN - (high - low)) / 2 + 0.01
    axes.set_ylim(max(0.0, low - spread), min(1.0, high + spread) + 0.005)


def write(text: Text, name: str, number: int) -> None:
    """Let a text show what users call something.

    It is laid out with letters that the font has. A long name loses its middle, and shows itself whole where the
    pointer rests. A character that cannot be shown becomes a box, and a number before it tells the name by.

    Args:
        text: A text of a figure.
        name: What it is to show, whatever is in it.
        number: Its place, from 1.
    """
    shown = "".join(letter if letter.isprintable() else "□" for letter in name)
    if shown != name:
        shown = f"{number} {shown}"
    short = shown if len(shown) <= NAME_LENGTH else f"{shown[: NAME_LENGTH - 11]}…{shown[-10:]}"
    text.set_parse_math(False)
    text.set_text("".join(map(_like, short)) or " ")
    text.set_gid(_NAME + json.dumps([short, shown if short != shown else ""]))


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Draw a figure as an SVG element, cut to what is drawn, that can stand in a page as it is.

    Args:
        figure: The figure.
        name: What the ids inside begin with: another one for each figure of a page.
        label: What it shows, for who cannot see it.

    Returns:
        The element's text. As wide as its inches; a page may give it another size.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None})
    drawn = fromstring(buffer.getvalue())  # noqa: S314 (matplotlib wrote it, a line above)
    _plain(drawn)
    # Of the definitions, a first one sets joins and ends of lines for the whole page.
    for unwanted in (*drawn.findall("metadata"), *drawn.findall("defs[style]")):
        drawn.remove(unwanted)
    _write_names(drawn)
    _rename_ids(drawn, name)
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    drawn.attrib = {
        "xmlns": _NAMESPACES[0].strip("{}"),
        "width": f"{width * _PIXELS_PER_POINT:.0f}",
        "height": f"{height * _PIXELS_PER_POINT:.0f}",
        "viewBox": drawn.attrib["viewBox"],
        "role": "img",
        "aria-label": label,
        "font-family": "system-ui, sans-serif",
        "stroke-linejoin": "round",
    }
    return tostring(drawn, encoding="unicode")


def _like(letter: str) -> str:
    """A letter of the font that is as wide: one that it lacks would be a warning and have no width of its own."""
    if ord(letter) in _letters():
        return letter
    if unicodedata.combining(letter):
        return ""
    return "W" if unicodedata.east_asian_width(letter) in "WF" else "n"


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def _plain(drawn: Element) -> None:
    """Take away namespaces, blanks and styles: a page's security policy lets attributes pass, but no styles."""
    for element in drawn.iter():
        element.tag = _without_namespace(element.tag)
        element.attrib = {_without_namespace(name): _short(name, value) for name, value in element.attrib.items()}
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
        for declaration in element.attrib.pop("style", "").split(";"):
            name, _, value = declaration.partition(":")
            # Older versions of Matplotlib have size and family in one.
            size = _SIZE.search(value) if name.strip() in ("font", "font-size") else None
            if size:
                element.set("font-size", size.group())
            elif value and name.strip() != "font-family":
                element.set(name.strip(), _PAGE_COLOURS.get(value.strip(), value.strip()))


def _short(name: str, value: str) -> str:
    """A thousandth of a point is fine enough, and half as long."""
    if name not in ("d", "transform", "x", "y"):
        return value
    return " ".join(_FRACTION.sub(lambda number: f"{float(number.group()):.3f}", value).split())


def _without_namespace(name: str) -> str:
    for namespace in _NAMESPACES:
        name = name.removeprefix(namespace)
    return name


def _write_names(drawn: Element) -> None:
    """Put what `write` was given in the place of what is as wide."""
    for group in drawn.iter("g"):
        own = group.get("id", "")
        if own.startswith(_NAME):
            short, whole = json.loads(own.removeprefix(_NAME))
            for text in group.iter("text"):
                text.text = short
                if whole:
                    SubElement(text, "title").text = whole


def _rename_ids(drawn: Element, name: str) -> None:
    """Keep the ids that something refers to, under names that no other figure of the page has."""
    elements = list(drawn.iter())
    used = _references(elements)
    renamed = {old: f"{name}-{number}" for number, old in enumerate(sorted(used, key=used.__getitem__), 1)}
    for element in elements:
        own = element.attrib.pop("id", None)
        if own in renamed:
            element.set("id", renamed[own])
        for attribute, value in element.attrib.items():
            if (target := _target(attribute, value)) in renamed:
                element.set(attribute, value.replace(target, renamed[target]))


def _references(elements: Sequence[Element]) -> dict[str, int]:
    """The ids that elements refer to, in the order in which they do."""
    used: dict[str, int] = {}
    for element in elements:
        for attribute, value in element.attrib.items():
            if target := _target(attribute, value):
                used.setdefault(target, len(used))
    return used


def _target(attribute: str, value: str) -> str:
    """The id that an attribute refers to; empty where it refers to none."""
    if attribute == "href":
        return value[1:] if value.startswith("#") else ""
    return value[len("url(#") : -1] if value.startswith("url(#") else ""
