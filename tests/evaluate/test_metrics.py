"""Numbers of an evaluation, against naive rewritings of their formulas."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.evaluate.metrics import expected_calibration_error, measure, measure_cross_validation, wilson_interval

LABELS = ["daisy", "roses", "tulips", "nobody's"]


def predictions(photos: int, labels: int, seed: int = 7) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Truth [N] and float32 probabilities [N, C] that are right more often than not."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, labels, photos)
    logits = random.normal(size=(photos, labels)) * 2
    logits[np.arange(photos), truth] += 2
    odds = np.exp(logits)
    return truth, (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def one_photo_each(guesses: list[tuple[int, int]], labels: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Predictions that say `guess` with all certainty: pairs of (truth, guess)."""
    truth, guess = np.array(guesses).T
    return truth, np.eye(labels, dtype=np.float32)[guess]


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (1, 1), (93, 100), (341, 367), (50_000, 100_000)])
def test_interval_is_wilson_s_formula(correct: int, total: int) -> None:
    z = 1.959963984540054
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    assert wilson_interval(correct, total) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_interval_of_no_photos_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 trial at least"):
        wilson_interval(0, 0)


def naive_calibration_error(truth: NDArray[np.int64], probabilities: NDArray[np.float32], bins: int) -> float:
    error = 0.0
    for place in range(bins):
        low, high = place / bins, (place + 1) / bins
        inside = [
            (float(max(row)), int(np.argmax(row)) == true)
            for true, row in zip(truth, probabilities, strict=True)
            if low < float(max(row)) <= high
        ]
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(top for top, _ in inside) / len(inside)
            error += len(inside) / len(truth) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize("labels", [2, 5])
def test_calibration_error_is_the_mean_gap_of_the_bins(bins: int, labels: int) -> None:
    truth, probabilities = predictions(500, labels)
    expected = naive_calibration_error(truth, probabilities, bins)
    assert expected_calibration_error(truth, probabilities, bins) == pytest.approx(expected, abs=1e-9)


def test_calibration_error_puts_a_bin_s_upper_edge_into_it() -> None:
    truth = np.array([0, 1])
    probabilities = np.array([[0.75, 0.25], [0.74, 0.26]], np.float32)  # one is right, one wrong; together 0.745
    assert expected_calibration_error(truth, probabilities, bins=4) == pytest.approx(0.245, abs=1e-6)
    assert naive_calibration_error(truth, probabilities, 4) == pytest.approx(0.245, abs=1e-6)


def test_certain_and_right_is_perfectly_calibrated_and_certain_and_wrong_is_not_at_all() -> None:
    assert expected_calibration_error(*one_photo_each([(0, 0), (1, 1)], 2)) == 0
    assert expected_calibration_error(*one_photo_each([(0, 1), (1, 0)], 2)) == 1


@pytest.mark.parametrize("labels", [2, 3])
def test_metrics_follow_from_naive_counts(labels: int) -> None:
    truth, probabilities = predictions(200, labels)
    metrics = measure(truth, probabilities, LABELS[:labels])
    naive = np.zeros((labels, labels), int)
    for true, row in zip(truth, probabilities, strict=True):
        naive[true, np.argmax(row)] += 1
    assert metrics.confusion.tolist() == naive.tolist()
    correct = sum(naive[place, place] for place in range(labels))
    assert (metrics.photos, metrics.correct, metrics.accuracy) == (200, correct, correct / 200)
    assert metrics.interval == wilson_interval(correct, 200)
    surprises = [-math.log(row[true]) for true, row in zip(truth, probabilities, strict=True)]
    assert metrics.log_loss == pytest.approx(sum(surprises) / 200, rel=1e-5)
    for place, entry in enumerate(metrics.per_label):
        photos, predicted, hits = naive[place].sum(), naive[:, place].sum(), naive[place, place]
        assert (entry.label, entry.photos, entry.predicted, entry.correct) == (LABELS[place], photos, predicted, hits)
        assert (entry.precision, entry.recall) == pytest.approx((hits / predicted, hits / photos))
        assert entry.f1 == pytest.approx(2 * hits / (predicted + photos))
        assert entry.precision_interval == wilson_interval(hits, predicted)
        assert entry.recall_interval == wilson_interval(hits, photos)


def test_certain_and_wrong_has_a_finite_log_loss() -> None:
    assert math.isfinite(measure(*one_photo_each([(0, 1), (1, 1)], 2), LABELS[:2]).log_loss)


def test_a_score_without_a_photo_to_tell_by_is_none() -> None:
    metrics = measure(*one_photo_each([(0, 0), (0, 1), (2, 0)], 4), LABELS)
    daisy, roses, tulips, nobody = metrics.per_label
    assert (daisy.precision, daisy.recall, daisy.f1) == (0.5, 0.5, 0.5)
    assert (roses.precision, roses.recall, roses.f1) == (0.0, None, 0.0)
    assert (tulips.precision, tulips.recall, tulips.f1) == (None, 0.0, 0.0)
    assert (nobody.precision, nobody.recall, nobody.f1) == (None, None, None)
    assert tulips.precision_interval is roses.recall_interval is None


def test_json_is_strict_and_holds_plain_values_only() -> None:
    metrics = measure(*one_photo_each([(0, 0), (0, 1), (2, 0)], 4), LABELS)
    document = metrics.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["labels"] == LABELS
    assert document["confusion"] == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert document["interval"] == {"low": metrics.interval.low, "high": metrics.interval.high, "confidence": 0.95}
    counts, scores = ("photos", "predicted", "correct"), ("precision", "recall", "f1")
    nobody = {"label": "nobody's", **dict.fromkeys(counts, 0), **dict.fromkeys(scores)}
    assert document["per_label"][3] == nobody


def test_a_cross_validation_is_measured_as_a_split_is() -> None:
    truth, probabilities = predictions(300, 4)
    split = measure(truth, probabilities, LABELS).to_json()
    assert measure_cross_validation(5, truth, probabilities, LABELS) == {
        "folds": 5,
        **{name: split[name] for name in ("accuracy", "interval", "log_loss", "expected_calibration_error")},
    }


@pytest.mark.parametrize(("photos", "columns"), [(0, 4), (3, 3), (3, 5)])
def test_shapes_that_do_not_belong_together_are_an_error(photos: int, columns: int) -> None:
    with pytest.raises(ValueError, match="as many rows and columns"):
        measure(np.zeros(photos, np.int64), np.zeros((photos, columns), np.float32), LABELS)
