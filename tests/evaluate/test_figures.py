"""The picture of the confusion matrix; warnings are errors, so that a glyph the font lacks fails a test."""

import io
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.evaluate.figures import confusion_matrix_figure


def picture(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def diagonal(count: int, photos: int = 9) -> NDArray[np.int64]:
    return np.diag(np.full(count, photos))


def names(count: int) -> list[str]:
    return [f"label {number}" for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 25, 26, 102])
def test_any_number_of_labels_makes_a_picture_of_a_sensible_size(count: int) -> None:
    height, width, _ = picture(confusion_matrix_figure(diagonal(count), names(count))).shape
    assert 200 < height < 4000
    assert 200 < width < 4000


def test_more_labels_than_have_room_do_not_make_a_larger_picture() -> None:
    height, width, _ = picture(confusion_matrix_figure(diagonal(180), names(180))).shape
    assert max(height, width) < 4000


@pytest.mark.parametrize(
    "label",
    [
        "雏菊",
        "🌻 sunflower",
        "$x_1$ and $5",
        "مرحبا",
        "Gänseblümchen",
        "line\nbreak",
        "e\u0301",
        "x" * 300,
        " ",
        r"\frac",
    ],
)
def test_any_label_is_drawn_without_a_warning(label: str) -> None:
    height, width, _ = picture(confusion_matrix_figure(diagonal(2), [label, "roses"])).shape
    assert max(height, width) < 1500  # a long name lost its middle


def test_a_character_that_the_font_lacks_becomes_a_box_and_the_label_s_number_tells_it_by() -> None:
    drawn = confusion_matrix_figure(diagonal(2), ["roses", "雏菊"])
    assert drawn == confusion_matrix_figure(diagonal(2), ["roses", "2 □□"])


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    drawn = confusion_matrix_figure(diagonal(2), ["roses", "a" * 100 + "b" * 100])
    assert drawn == confusion_matrix_figure(diagonal(2), ["roses", "a" * 17 + "…" + "b" * 10])


def test_colour_is_the_share_of_the_true_label_s_photos() -> None:
    few = picture(confusion_matrix_figure(np.diag(np.full(26, 1)), names(26)))
    many = picture(confusion_matrix_figure(np.diag(np.full(26, 1000)), names(26)))
    half = picture(confusion_matrix_figure(np.diag(np.full(26, 1)) + np.diag(np.full(25, 1), 1), names(26)))
    np.testing.assert_array_equal(few, many)
    assert (few != half).any()


def test_a_row_is_the_true_label_and_a_column_the_predicted_one() -> None:
    """A matrix whose photos are all in the last row is dark at the bottom, not at the right."""
    confusion = np.zeros((30, 30), int)
    confusion[29] = 1
    confusion[29, 0] = 1000
    pixels = picture(confusion_matrix_figure(confusion, names(30))).astype(int)
    blue = (pixels[..., 2] - pixels[..., 0] > 60) & (np.arange(pixels.shape[1]) < pixels.shape[1] * 0.85)
    rows, columns = np.nonzero(blue)
    assert rows.mean() > pixels.shape[0] * 0.7
    assert columns.mean() < pixels.shape[1] * 0.3


def test_counts_are_written_where_they_have_room() -> None:
    ones, nines = (picture(confusion_matrix_figure(diagonal(5, photos), names(5))) for photos in (1, 9))
    assert (ones != nines).any()


def test_labels_without_photos_are_drawn_as_nothing() -> None:
    picture(confusion_matrix_figure(np.zeros((3, 3), int), names(3)))


def test_the_same_matrix_is_the_same_file() -> None:
    assert confusion_matrix_figure(diagonal(4), names(4)) == confusion_matrix_figure(diagonal(4), names(4))


def test_drawing_leaves_pyplot_alone() -> None:
    """Pyplot would choose a backend for the whole process and keep every figure."""
    code = (
        "import sys, numpy as np\n"
        "from tasks.evaluate.figures import confusion_matrix_figure\n"
        "confusion_matrix_figure(np.eye(2, dtype=int), ['a', 'b'])\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
