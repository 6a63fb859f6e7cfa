"""The figure of the confusion matrix."""

import base64
import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.report.confusion import confusion_figure
from tests.report.svg import read, size, texts


def diagonal(count: int, photos: int = 9) -> NDArray[np.int64]:
    return np.diag(np.full(count, photos))


def names(count: int) -> list[str]:
    return [f"label {number}" for number in range(count)]


def shades(svg: str) -> NDArray[np.uint8]:
    """Return the opacity of the blue of each cell: uint8 [C, C]."""
    encoded = re.findall(r'href="data:image/png;base64,([^"]+)"', svg)[0]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        return np.asarray(image.convert("RGBA"))[..., 3]


@pytest.mark.parametrize("count", [1, 2, 5, 25, 26, 120, 400])
def test_any_number_of_labels_makes_a_figure_of_a_sensible_size(count: int) -> None:
    svg = confusion_figure(diagonal(count), names(count))
    assert all(120 < length < 2200 for length in size(svg))
    assert 'image-rendering="pixelated"' in svg
    assert len(svg) < 200_000


def test_every_label_that_has_room_is_named_on_both_sides() -> None:
    drawn = texts(confusion_figure(diagonal(30), names(30)))
    assert all(drawn.count(name) == 2 for name in names(30))
    assert {"Predicted label", "True label"} <= set(drawn)


def test_colour_is_the_root_of_the_share_of_the_true_label_s_photos() -> None:
    confusion = np.array([[3, 1], [0, 20]])
    shares = np.array([[0.75, 0.25], [0, 1]])
    np.testing.assert_array_equal(shades(confusion_figure(confusion, names(2))), np.round(255 * np.sqrt(shares)))


def test_a_row_is_the_true_label_and_a_column_the_predicted_one() -> None:
    confusion = np.zeros((30, 30), int)
    confusion[29, 0] = 5
    assert np.argwhere(shades(confusion_figure(confusion, names(30)))).tolist() == [[29, 0]]
    drawn = [
        (text.text, float(text.attrib["y"]))
        for text in read(confusion_figure(confusion, names(30))).iter()
        if text.text in ("label 0", "label 29") and "transform" not in text.attrib
    ]
    (first, above), (last, below) = sorted(drawn, key=lambda one: one[1])
    assert (first, last) == ("label 0", "label 29")
    assert above < below


def test_counts_are_written_where_they_have_room() -> None:
    few, many = diagonal(25, 77), diagonal(26, 77)
    assert texts(confusion_figure(few, names(25))).count("77") == 25
    assert "77" not in texts(confusion_figure(many, names(26)))


def test_a_count_is_white_on_dark_blue_and_ink_on_the_ground_and_those_who_see_neither_are_told() -> None:
    drawn = read(confusion_figure(np.array([[90, 10], [5, 95]]), names(2)))
    fills = {text.text: text.attrib["fill"] for text in drawn.iter() if text.text in ("90", "10", "5", "95")}
    assert fills["90"] == fills["95"] == "#ffffff"
    assert fills["10"] == fills["5"] == "var(--ink, #26313b)"
    assert "185 of 200 photos lie on its diagonal" in drawn.attrib["aria-label"]


def test_labels_without_photos_are_drawn_as_nothing() -> None:
    svg = confusion_figure(np.zeros((3, 3), int), names(3))
    assert not shades(svg).any()
    assert "#ffffff" not in svg
