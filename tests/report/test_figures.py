"""Line figures: reliability, precision against recall, learning curve, and accuracy by run."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tasks.errors import StoreError
from tasks.report.figures import learning_curve_figure, precision_recall_figure, reliability_figure, trend_figure
from tasks.report.results import PrecisionRecall, confidence_bins, precision_recall
from tasks.report.svg import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from tasks.runs.records import RunRecord
from tasks.train.curve import CurvePoint, Weights, add_point, curve_path
from tests.report.made_up import make_up_run
from tests.report.svg import NAMESPACE, intervals, lines, read, texts
from tests.support.data_root import draw_probabilities
from tests.train.examples import settings

INK, SOFT = "var(--ink, #26313b)", "var(--soft, #5b6873)"


def curve(*precision: float) -> PrecisionRecall:
    values = np.array(precision)
    return PrecisionRecall(np.arange(1, len(values) + 1) / len(values), values, float(values.mean()))


def test_each_bin_of_confidence_is_a_point_with_an_interval_and_a_bar() -> None:
    bins = confidence_bins(np.random.default_rng(1).integers(0, 3, 500), draw_probabilities(500, 3))
    svg = reliability_figure(bins)
    (line,) = lines(svg, BLUE)
    bars = [float(bar.attrib["height"]) for bar in read(svg).iter(f"{NAMESPACE}rect")]
    assert len(line) == intervals(svg) == len(bars) == len(bins)
    # The height of a bar is proportional to its photos.
    heights = np.array(bars) / [each.photos for each in bins]
    np.testing.assert_allclose(heights, heights.mean(), rtol=0.02)
    assert "perfect calibration" in texts(reliability_figure(bins[:1]))


def test_up_to_ten_labels_have_a_style_and_a_name_each() -> None:
    curves = {f"label {number}": curve(1, 0.9, 0.8) for number in range(10)}
    svg = precision_recall_figure(curves, curve(1, 0.5))
    assert set(curves) <= set(texts(svg))
    styles = [
        (line.get("stroke"), line.get("stroke-dasharray"))
        for line in read(svg).findall(f"{NAMESPACE}polyline")
        if line.get("stroke") != INK
    ]
    assert len(set(styles)) == len(styles) == 10
    assert {colour for colour, _ in styles} == {BLUE, VERMILION, GREEN, PURPLE, ORANGE}
    assert len(lines(svg, INK)) == 1


def test_more_labels_are_thin_lines_of_one_colour_below_their_average() -> None:
    svg = precision_recall_figure({f"label {number}": curve(1, 0.9, 0.8) for number in range(11)}, curve(1, 0.5))
    assert (len(lines(svg, SOFT)), len(lines(svg, BLUE))) == (11, 1)
    assert {"all labels together", "each label"} <= set(texts(svg))
    assert "label 3" not in texts(svg)


@pytest.mark.parametrize("labels", [2, 500])
def test_many_points_do_not_make_a_large_figure(labels: int) -> None:
    long = curve(*np.linspace(1, 0.1, 5000) + 0.05 * np.random.default_rng(0).normal(size=5000))
    assert len(precision_recall_figure({f"label {number}": long for number in range(labels)}, long)) < 500_000


def test_a_precision_that_falls_is_drawn_falling() -> None:
    measured = precision_recall(
        np.array([True, True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.6, 0.1], np.float32)
    )
    (line,) = lines(precision_recall_figure({"daisy": measured, "roses": measured}, measured), INK)
    heights = [y for _, y in line]
    assert heights == sorted(heights)
    assert len(line) == 3


def learning(folder: Path, **curves: Sequence[float]) -> str:
    """Draw curves by kind of weights, which were measured every hundred steps."""
    for weights, accuracies in curves.items():
        for number, accuracy in enumerate(accuracies, 1):
            point = CurvePoint(100 * number, accuracy, 0.3, 40, dt.datetime(2026, 3, 1, tzinfo=dt.UTC))
            add_point(point, folder, cast("Weights", weights), settings())
    return learning_curve_figure(folder) or ""


@pytest.mark.parametrize("accuracies", [(0.5,), (1.0,), (0.0, 1.0), (0.9, 0.9), tuple(np.linspace(0, 1, 30))])
def test_any_learning_curve_is_drawn(tmp_path: Path, accuracies: tuple[float, ...]) -> None:
    assert not learning(tmp_path)
    drawn = texts(learning(tmp_path, plain=accuracies))
    assert "Training steps" in drawn
    assert "moving averages of the weights" not in drawn


def test_a_higher_accuracy_is_drawn_higher_and_averages_and_plain_weights_are_a_line_each(tmp_path: Path) -> None:
    svg = learning(tmp_path, averages=(0.7, 0.8, 0.9), plain=(0.5, 0.6))
    (above,), (below,) = lines(svg, BLUE), lines(svg, VERMILION)
    first, second, third = above
    assert first[1] > second[1] > third[1]
    assert first[0] < second[0] < third[0]
    assert max(y for _, y in above) < min(y for _, y in below)
    assert set(texts(svg)) >= {"moving averages of the weights", "the weights as they are"}


def test_a_damaged_curve_is_an_error(tmp_path: Path) -> None:
    curve_path(tmp_path, "plain").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="Delete it"):
        learning_curve_figure(tmp_path)


def runs(count: int) -> list[RunRecord]:
    made = [make_up_run(Path("data"), count - number, 0.8 + 0.1 * number / count) for number in range(count)]
    return [replace(run, verdict="stays") for run in made]


def test_a_line_goes_through_the_accuracies_and_each_has_its_interval() -> None:
    svg = trend_figure(runs(5))
    (line,) = lines(svg, BLUE)
    heights = [y for _, y in line]
    assert heights == sorted(heights, reverse=True)
    assert len(line) == intervals(svg) == 5


@pytest.mark.parametrize("count", [2, 61, 1000])
def test_any_number_of_runs_makes_a_small_figure(count: int) -> None:
    assert len(trend_figure(runs(count))) < 300_000


def test_all_runs_may_have_one_date() -> None:
    assert trend_figure([replace(run, date=dt.date(2026, 11, 24)) for run in runs(3)])


def test_new_champions_are_marked_and_named() -> None:
    five = runs(5)
    assert "new champion" not in texts(trend_figure(five))
    svg = trend_figure([replace(five[0], verdict="first"), *five[1:3], replace(five[3], verdict="new"), five[4]])
    assert "new champion" in texts(svg)
    # One of the stars is in the legend.
    assert sum(star.get("fill") == ORANGE for star in read(svg).iter(f"{NAMESPACE}polygon")) == 3


def test_cross_validated_accuracies_are_a_line_of_their_own() -> None:
    some = [replace(run, cross_validated=0.9) if number else run for number, run in enumerate(runs(4))]
    (line,) = lines(trend_figure(some), VERMILION)
    assert len(line) == 3
    assert lines(trend_figure(runs(4)), VERMILION) == []
