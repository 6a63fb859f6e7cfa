"""Elements of figures: in the page's colours, whatever users call things, and safe to put side by side in one page."""

import re

import pytest

from tasks.report.svg import (
    BLUE,
    GROUND,
    NAME_LENGTH,
    Frame,
    Point,
    Style,
    add_line,
    add_text,
    new_figure,
    show_name,
    text_width,
    to_svg,
)
from tests.report.svg import lines, read, size, texts, titles


def draw(label: str = "daisy") -> str:
    """Draw a line and a name."""
    figure = new_figure()
    add_line(figure, [Point(0, 10), Point(100, 70)], Style(BLUE, mark="circle"))
    add_line(figure, [Point(0, 20), Point(100, 80.16)], Style(GROUND, mark="star", dashes="2 2"))
    add_text(figure, show_name(label, 6), Point(50, 50), 12)
    return to_svg(figure, Frame(-10, 0, 190, 100), 'What "it" shows & tells')


def test_a_figure_has_the_page_s_colours_no_style_that_its_policy_forbids_and_says_what_it_shows() -> None:
    svg = draw()
    assert set(re.findall(r"var\(--(\w+), #[0-9a-f]{6}\)", svg)) == {"ink", "ground"}
    drawn = read(svg)
    assert not [each for each in drawn.iter() if each.tag.endswith("}style") or {"style", "id"} & set(each.attrib)]
    assert (drawn.get("role"), drawn.get("aria-label")) == ("img", 'What "it" shows & tells')
    left, top, *lengths = map(float, drawn.attrib["viewBox"].split())
    assert left < -10
    assert top < 0
    assert (*lengths,) == size(svg)
    assert lengths[0] > 200


def test_a_line_goes_through_its_points_and_the_same_figure_is_the_same_text() -> None:
    assert lines(draw(), GROUND) == [[(0, 20), (100, 80.2)]]
    assert draw() == draw()


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
        "1 #ffffff;fill: red",
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


def test_wide_letters_get_the_room_that_they_need_and_marks_on_letters_none() -> None:
    assert text_width("雏" * 20, 10) > 1.4 * text_width("n" * 20, 10)
    assert text_width("e\u0301", 10) == text_width("e", 10)
    assert text_width(show_name("n" * 300, 0), 10) < text_width("n" * 30, 10)
