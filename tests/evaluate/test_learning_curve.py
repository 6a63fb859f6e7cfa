"""The learning curve in the report: drawn where somebody watched the training."""

import datetime as dt
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from PIL import Image

from tasks.artifacts import CURVE
from tasks.errors import StoreError
from tasks.evaluate.figures import learning_curve_figure
from tasks.evaluate.gather import gather_curve
from tasks.train.curve import Point, add_point, curve_path
from tests.train.examples import settings

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def point(step: int, accuracy: float) -> Point:
    return Point(step, accuracy, 0.3, 0.0, 40, dt.datetime(2026, 3, 1, tzinfo=dt.UTC))


def curve(*accuracies: float) -> pa.Table:
    rows = [vars(point(100 * place, accuracy)) for place, accuracy in enumerate(accuracies, 1)]
    return pa.Table.from_pylist(rows, CURVE)


def rows_of(png: bytes, colour: tuple[int, int, int]) -> npt.NDArray[np.intp]:
    """Where in the picture a colour is, below the legend: the rows of its pixels, from the left to the right."""
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.format == "PNG"
        pixels = np.asarray(opened.convert("RGB"), int)[60:]
    columns, rows = np.nonzero((np.abs(pixels - colour).sum(axis=2) < 30).T)
    return rows[np.argsort(columns, kind="stable")]


@pytest.mark.parametrize("accuracies", [(0.5,), (1.0,), (0.0, 1.0), (0.9, 0.9), tuple(np.linspace(0, 1, 200))])
def test_any_curve_makes_a_picture(accuracies: tuple[float, ...]) -> None:
    assert rows_of(learning_curve_figure({"averages": curve(*accuracies)}), BLUE).size


def test_a_higher_accuracy_is_drawn_higher_and_later_steps_to_the_right() -> None:
    rows = rows_of(learning_curve_figure({"averages": curve(0.2, 0.5, 0.9)}), BLUE)
    assert rows[:20].mean() > rows[-20:].mean() + 100


def test_averages_and_plain_weights_are_a_line_each() -> None:
    drawn = learning_curve_figure({"averages": curve(0.9, 0.95), "plain": curve(0.5, 0.6)})
    assert rows_of(drawn, BLUE).mean() < rows_of(drawn, ORANGE).mean()
    assert not rows_of(learning_curve_figure({"averages": curve(0.9, 0.95)}), ORANGE).size


def test_the_same_curve_is_the_same_file() -> None:
    assert learning_curve_figure({"plain": curve(0.5)}) == learning_curve_figure({"plain": curve(0.5)})


def test_a_head_that_nobody_watched_has_no_curve(tmp_path: Path) -> None:
    assert gather_curve(tmp_path) is None


def test_what_a_watcher_kept_is_drawn(tmp_path: Path) -> None:
    add_point(point(100, 0.5), tmp_path, "plain", settings())
    only_plain = gather_curve(tmp_path)
    add_point(point(100, 0.9), tmp_path, "averages", settings())
    both = gather_curve(tmp_path)
    assert only_plain is not None
    assert both is not None
    assert not rows_of(only_plain, BLUE).size
    assert rows_of(both, BLUE).size


def test_a_damaged_curve_is_an_error(tmp_path: Path) -> None:
    curve_path(tmp_path, "plain").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="Delete it"):
        gather_curve(tmp_path)
