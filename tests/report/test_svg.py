"""Figures as SVG: in the page's colours, whatever users call things, and safe to put side by side in one page."""

import re
import sys

import pytest

from tasks.report.svg import BLUE, GROUND, INK, NAME_LENGTH, SOFT, font, format_axes, new_figure, to_svg, write
from tests.report.svg import read, size, texts, titles
from tests.support.processes import run


def draw(label: str = "daisy", name: str = "one") -> str:
    """Draw a line and a name."""
    figure = new_figure(3, 2)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.plot([0, 1, 2], [0.1, 0.7, 0.3], color=BLUE)
    axes.plot([0, 1, 2], [0.2, 0.8, 0.4], "o", color=INK, markeredgecolor=GROUND)
    write(axes.text(0.5, 0.5, "", fontproperties=font(9), color=INK), label, 7)
    format_axes(axes, "Steps", "Accuracy")
    return to_svg(figure, name, 'What "it" shows & tells')


def test_a_figure_has_the_page_s_colours_no_style_that_its_policy_forbids_and_says_what_it_shows() -> None:
    svg = draw()
    assert set(re.findall(r"var\(--(\w+), #[0-9a-f]{6}\)", svg)) == {"ink", "soft", "grid", "ground"}
    assert not any(colour in svg for colour in (INK, SOFT, GROUND))
    drawn = read(svg)
    assert not [each for each in drawn.iter() if each.tag.endswith("}style") or "style" in each.attrib]
    assert (drawn.get("role"), drawn.get("aria-label")) == ("img", 'What "it" shows & tells')
    assert [float(number) for number in drawn.attrib["viewBox"].split()][2:] == pytest.approx(
        [length * 0.75 for length in size(svg)], abs=1
    )


@pytest.mark.parametrize("label", [INK, "0.123456 m", "1 #ffffff;fill: red"])
def test_a_label_that_looks_like_a_colour_or_a_number_keeps_it(label: str) -> None:
    assert label in texts(draw(label))


def test_ids_of_two_figures_differ_each_is_used_and_the_same_figure_is_the_same_text() -> None:
    ids = {}
    for name in ("one", "two"):
        svg = draw(name=name)
        assert svg == draw(name=name)
        ids[name] = {element.attrib["id"] for element in read(svg).iter() if "id" in element.attrib}
        used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
        assert ids[name] == used
        assert used
    assert ids["one"].isdisjoint(ids["two"])


@pytest.mark.parametrize(
    "label",
    [
        "<script>alert(1)</script>",
        "雏菊",
        "🌻 sunflower",
        "$x_1$ and $5",
        "مرحبا",
        "Gänseblümchen",
        "e\u0301",
        "_a",
        r"\frac",
    ],
)
def test_any_label_is_written_as_it_is_without_a_warning(label: str) -> None:
    assert label in texts(draw(label))
    assert "<script" not in draw(label)


@pytest.mark.parametrize("label", ["line\nbreak", "\x00\x1b", "\udcff.jpg", "\u202egpj"])
def test_what_cannot_be_shown_becomes_a_box_and_the_number_tells_the_label_by(label: str) -> None:
    shown = "".join(letter if letter.isprintable() else "□" for letter in label)
    assert f"7 {shown}" in texts(draw(label))


def test_a_long_name_loses_its_middle_and_the_pointer_shows_it_whole() -> None:
    svg = draw("a" * 100 + "b" * 100)
    assert "a" * 17 + "…" + "b" * 10 in texts(svg)
    assert titles(svg) == ["a" * 100 + "b" * 100]
    assert titles(draw("a" * NAME_LENGTH)) == []


def test_wide_letters_get_the_room_that_they_need() -> None:
    figures = {}
    for label in ("雏" * 20, "n" * 20):
        figure = new_figure(1, 1)
        write(figure.text(0, 0, "", fontproperties=font(9)), label, 1)
        figures[label] = size(to_svg(figure, "one", ""))[0]
    wide, narrow = figures.values()
    assert wide > 1.4 * narrow


def test_drawing_leaves_pyplot_alone() -> None:
    """Pyplot would choose a backend for the whole process and keep every figure."""
    code = "import sys\nfrom tests.report.test_svg import draw\ndraw()\nsys.exit('matplotlib.pyplot' in sys.modules)"
    assert run([sys.executable, "-c", code]).code == 0
