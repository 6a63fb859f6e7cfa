"""The figures of lines: reliability, and precision against recall."""

import numpy as np
import pytest

from tasks.report.curves import PrecisionRecall, bins_of_confidence, precision_recall
from tasks.report.figures import precision_recall_figure, reliability_figure
from tasks.report.svg import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from tests.evaluate.drawing import draw_probabilities
from tests.report.svg import NAMESPACE, lines, read, texts

INK, SOFT = "var(--ink, #26313b)", "var(--soft, #5b6873)"


def curve(*precision: float) -> PrecisionRecall:
    values = np.array(precision)
    return PrecisionRecall(np.arange(1, len(values) + 1) / len(values), values, float(values.mean()))


def test_each_bin_of_confidence_is_a_point_with_an_interval_and_a_bar() -> None:
    probabilities = draw_probabilities(500, 3)
    bins = bins_of_confidence(np.random.default_rng(1).integers(0, 3, 500), probabilities)
    svg = reliability_figure(bins)
    longest = max(lines(svg, BLUE), key=len)
    assert len(longest) == len(bins)
    assert sum(len(line) == 2 for line in lines(svg, BLUE)) == len(bins)
    bars = [path for path in read(svg).iter(f"{NAMESPACE}path") if path.get("fill") == BLUE and path.get("clip-path")]
    assert len(bars) == len(bins)


def test_a_single_bin_is_drawn() -> None:
    assert "perfect calibration" in texts(
        reliability_figure(bins_of_confidence(np.zeros(5, int), np.eye(2, dtype=np.float32)[[0] * 5]))
    )


def test_up_to_ten_labels_have_a_look_and_a_name_each() -> None:
    curves = {f"label {number}": curve(1, 0.9, 0.8) for number in range(10)}
    svg = precision_recall_figure(curves, curve(1, 0.5))
    assert set(curves) <= set(texts(svg))
    looks = [
        (path.get("stroke"), path.get("stroke-dasharray"))
        for path in read(svg).iter(f"{NAMESPACE}path")
        if path.get("clip-path") and path.get("stroke-width") == "1.6"
    ]
    assert len(set(looks)) == len(looks) == 10
    assert {colour for colour, _ in looks} == {BLUE, VERMILION, GREEN, PURPLE, ORANGE}
    assert len(lines(svg, INK)) == 1


def test_more_labels_are_thin_lines_of_one_colour_below_their_mean() -> None:
    curves = {f"label {number}": curve(1, 0.9, 0.8) for number in range(11)}
    svg = precision_recall_figure(curves, curve(1, 0.5))
    assert len(lines(svg, SOFT)) == 11
    assert len(lines(svg, BLUE)) == 1
    assert {"all labels together", "each label"} <= set(texts(svg))
    assert "label 3" not in texts(svg)


@pytest.mark.parametrize("labels", [2, 500])
def test_many_points_do_not_make_a_large_figure(labels: int) -> None:
    long = curve(*np.linspace(1, 0.1, 5000) + 0.05 * np.random.default_rng(0).normal(size=5000))
    svg = precision_recall_figure({f"label {number}": long for number in range(labels)}, long)
    assert len(svg) < 500_000


def test_a_precision_that_falls_is_drawn_falling() -> None:
    truth = np.array([True, True, False, True, False])
    measured = precision_recall(truth, np.array([0.9, 0.8, 0.7, 0.6, 0.1], np.float32))
    svg = precision_recall_figure({"daisy": measured, "roses": measured}, measured)
    (line,) = lines(svg, INK)
    heights = [up for _, up in line]
    assert heights == sorted(heights)
    assert len(line) == 3
