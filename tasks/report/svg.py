"""Style and SVG output of all figures: matplotlib without pyplot's global state, in the page's colours and fonts.

Ink, grid and background are drawn in placeholder colours that become `var(--ink)` and the like: a figure inside a page
follows its light, dark and print colours, and a figure in its own file has the light ones. Text stays text, in the
browser's fonts, so that every script can be read, searched and copied.
"""

import io
import json
import re
import unicodedata
from collections.abc import Sequence
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

FONT = "DejaVu Sans"  # part of Matplotlib, and wider than browsers' fonts, so that texts keep their room
#: Placeholder colours; nothing else is drawn in them.
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
#: Size of a line figure in inches: legible on a phone, and two beside each other on a desk.
WIDTH, HEIGHT = 5.6, 3.4
#: Format of shares.
PERCENT = PercentFormatter(1.0, decimals=0, symbol="\u00a0%")

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_MIN_SPAN = 0.1  # of accuracies, so that the noise of a few photos does not fill the figure
_NAME = "name:"
_PIXELS_PER_POINT = 96 / 72
_DECLARATION = re.compile(r"([\w-]+):\s*([^;]+)")
_FRACTION = re.compile(r"-?\d+\.\d{4,}")
_NAMESPACE = re.compile(r"\{http://www\.w3\.org/(2000/svg|1999/xlink)\}")
_REFERENCE = re.compile(r"(?:url\()?#([^)]+)\)?")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def new_axes() -> tuple[Figure, Axes]:
    """Return a line figure with one pair of axes that fills it."""
    figure = new_figure(WIDTH, HEIGHT)
    return figure, figure.add_axes((0, 0, 1, 1))


def font(points: float) -> FontProperties:
    """Return the font that all figures are laid out in."""
    return FontProperties(family=FONT, size=points)


def format_axes(axes: Axes, x_label: str, y_label: str) -> None:
    """Give axes with lines their names and grid, and the format of shares to the vertical axis."""
    axes.patch.set_visible(False)
    axes.yaxis.set_major_formatter(PERCENT)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel(x_label, fontproperties=font(10), color=INK)
    axes.set_ylabel(y_label, fontproperties=font(10), color=INK)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(SOFT)
    axes.tick_params(labelsize=9, labelfontfamily=FONT, labelcolor=SOFT, color=SOFT)


def add_legend(axes: Axes, columns: int = 2) -> Legend:
    """Add a legend above the axes."""
    return axes.legend(
        prop=font(9), loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, labelcolor=INK
    )


def draw_intervals(axes: Axes, x: Sequence[float], intervals: Sequence[Interval]) -> None:
    """Draw the intervals of shares as vertical lines."""
    low, high = zip(*intervals, strict=True)
    axes.vlines(x, low, high, color=BLUE, linewidth=1.2, alpha=0.75)


def limit_accuracies(axes: Axes) -> None:
    """Limit the vertical axis to the accuracies that are drawn already, without enlarging small differences."""
    low, high = axes.dataLim.intervaly
    margin = max(0.0, _MIN_SPAN - (high - low)) / 2 + 0.01
    axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin) + 0.005)


def write(text: Text, name: str, number: int) -> None:
    """Show a name from a user.

    It is laid out with letters that the font has. A long name loses its middle, and a tooltip shows it whole. A
    character that cannot be shown becomes a box, and a number before the name then identifies it.
    """
    shown = "".join(letter if letter.isprintable() else "□" for letter in name)
    if shown != name:
        shown = f"{number} {shown}"
    short = shown if len(shown) <= NAME_LENGTH else f"{shown[: NAME_LENGTH - 11]}…{shown[-10:]}"
    text.set_parse_math(False)
    text.set_text("".join(map(_similar_letter, short)) or " ")
    text.set_gid(_NAME + json.dumps([short, shown if short != shown else ""]))


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Draw a figure as an SVG element of its size in inches that can stand in a page, cropped to its content.

    The name, another one for each figure of a page, salts the ids inside; the label is the alternative text.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata=_NO_METADATA)
    svg = fromstring(buffer.getvalue())  # noqa: S314 (matplotlib wrote it, a line above)
    # Before anything is rounded or replaced that a name may look like.
    _write_names(svg)
    _use_attributes(svg)
    # They would set joins and ends of lines for the whole page.
    for styles in svg.findall("defs[style]"):
        svg.remove(styles)
    _drop_unused_ids(svg)
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    svg.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "width": f"{width * _PIXELS_PER_POINT:.0f}",
        "height": f"{height * _PIXELS_PER_POINT:.0f}",
        "viewBox": svg.attrib["viewBox"],
        "role": "img",
        "aria-label": label,
        "font-family": "system-ui, sans-serif",
        "stroke-linejoin": "round",
    }
    return tostring(svg, encoding="unicode")


def _similar_letter(letter: str) -> str:
    """Return a letter of the font with about the same width, since a letter that it lacks would raise a warning."""
    if get_font(findfont(FONT)).get_char_index(ord(letter)):
        return letter
    if unicodedata.combining(letter):
        return ""
    return "W" if unicodedata.east_asian_width(letter) in "WF" else "n"


def _use_attributes(svg: Element) -> None:
    """Replace styles, which the page's security policy forbids, by attributes; drop namespaces and blanks."""
    for element in svg.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
        style = element.attrib.pop("style", "")
        element.attrib = {_NAMESPACE.sub("", name): _shorten(value) for name, value in element.attrib.items()}
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
        for name, value in _DECLARATION.findall(style):
            if name != "font-family":
                element.set(name, _PAGE_COLOURS.get(value, value))


def _shorten(value: str) -> str:
    """Round numbers to a thousandth, such as coordinates in points, which halves their length."""
    return " ".join(_FRACTION.sub(lambda number: f"{float(number.group()):.3f}", value).split())


def _write_names(svg: Element) -> None:
    """Replace the texts that `write` laid out by the names that it was given."""
    for group in svg.iterfind(".//{*}g[@id]"):
        if group.attrib["id"].startswith(_NAME):
            short, whole = json.loads(group.attrib.pop("id").removeprefix(_NAME))
            for text in group.iterfind(".//{*}text"):
                text.text = short
                if whole:
                    SubElement(text, "title").text = whole


def _drop_unused_ids(svg: Element) -> None:
    """Drop ids that nothing refers to; Matplotlib makes the others from the figure's salt."""
    references = (_REFERENCE.fullmatch(value) for element in svg.iter() for value in element.attrib.values())
    used = {found.group(1) for found in references if found}
    for element in svg.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
