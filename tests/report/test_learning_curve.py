"""The learning curve in the report: drawn where somebody watched the training."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import StoreError
from tasks.report.build import build_curve
from tasks.report.figures import learning_curve_figure
from tasks.report.svg import BLUE, VERMILION
from tasks.shards.schemas import CURVE
from tasks.train.curve import CurvePoint, add_point, curve_path
from tests.report.svg import lines, texts
from tests.train.examples import settings


def point(step: int, accuracy: float) -> CurvePoint:
    return CurvePoint(step, accuracy, 0.3, 40, dt.datetime(2026, 3, 1, tzinfo=dt.UTC))


def curve(*accuracies: float) -> pa.Table:
    rows = [vars(point(100 * place, accuracy)) for place, accuracy in enumerate(accuracies, 1)]
    return pa.Table.from_pylist(rows, CURVE)


@pytest.mark.parametrize("accuracies", [(0.5,), (1.0,), (0.0, 1.0), (0.9, 0.9), tuple(np.linspace(0, 1, 200))])
def test_any_curve_is_drawn(accuracies: tuple[float, ...]) -> None:
    assert "Training steps" in texts(learning_curve_figure({"averages": curve(*accuracies)}))


def test_a_higher_accuracy_is_drawn_higher_and_later_steps_to_the_right() -> None:
    ((first, second, third),) = lines(learning_curve_figure({"averages": curve(0.2, 0.5, 0.9)}), BLUE)
    assert first[1] > second[1] > third[1]
    assert first[0] < second[0] < third[0]


def test_averages_and_plain_weights_are_a_line_each() -> None:
    svg = learning_curve_figure({"averages": curve(0.9, 0.95), "plain": curve(0.5, 0.6)})
    (above,), (below,) = lines(svg, BLUE), lines(svg, VERMILION)
    assert max(up for _, up in above) < min(up for _, up in below)
    assert {"moving averages of the weights", "the weights as they are"} <= set(texts(svg))


def test_a_head_that_nobody_watched_has_no_curve(tmp_path: Path) -> None:
    assert build_curve(tmp_path) is None


def test_what_a_watcher_kept_is_drawn(tmp_path: Path) -> None:
    add_point(point(100, 0.5), tmp_path, "plain", settings())
    only_plain = build_curve(tmp_path) or ""
    add_point(point(100, 0.9), tmp_path, "averages", settings())
    both = build_curve(tmp_path) or ""
    assert "moving averages of the weights" not in texts(only_plain)
    assert {"moving averages of the weights", "the weights as they are"} <= set(texts(both))


def test_a_damaged_curve_is_an_error(tmp_path: Path) -> None:
    curve_path(tmp_path, "plain").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="Delete it"):
        build_curve(tmp_path)
