"""Results of the test split by label, precision-recall curves and bins of confidence, against naive loops."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tasks.evaluate.metrics import expected_calibration_error, wilson_interval
from tasks.evaluate.predictions import PredictedPhotos
from tasks.report.results import confidence_bins, measure_results, precision_recall
from tasks.snapshot.splits import assign_splits
from tests.support.data_root import COUNTS, LABELS, draw_photos, draw_probabilities


def test_each_label_has_its_curve() -> None:
    photos, probabilities = draw_photos(), draw_probabilities(sum(COUNTS), 3)
    test = photos.of("test")
    results = measure_results(PredictedPhotos(photos, probabilities))
    assert [each.label for each in results.metrics.per_label] == list(results.curves) == list(LABELS)
    for label, curve in enumerate(results.curves.values()):
        expected = average_precision_score(photos.truth[test] == label, probabilities[test][:, label])
        assert curve.average == pytest.approx(expected)


def test_a_label_that_the_given_test_split_lacks_has_no_curve() -> None:
    photos = draw_photos()
    given = ["test" if number % 3 == 0 and label else "train" for number, label in enumerate(photos.truth)]
    splits = assign_splits(photos.sha256, [LABELS[label] for label in photos.truth], given)
    results = measure_results(PredictedPhotos(replace(photos, splits=splits), draw_probabilities(sum(COUNTS), 3)))
    assert list(results.curves) == list(LABELS[1:])
    assert (results.metrics.per_label[0].photos, results.metrics.per_label[0].recall) == (0, None)
    assert np.isfinite(results.average_curve.average)


@pytest.mark.parametrize("seed", range(5))
def test_precision_and_recall_are_those_of_every_threshold_that_finds_one_more(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.3
    # Rounded, so that some scores are equal.
    scores = (random.random(60) + 0.4 * truth).round(1).astype(np.float32)
    naive: list[tuple[float, float]] = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        recall, precision = (chosen & truth).sum() / truth.sum(), (chosen & truth).sum() / chosen.sum()
        if recall > (naive[-1][0] if naive else 0):
            naive.append((recall, precision))
    measured = precision_recall(truth, scores)
    np.testing.assert_allclose(np.column_stack([measured.recall, measured.precision]), naive)
    assert measured.average == pytest.approx(average_precision_score(truth, scores))


def test_the_bins_are_those_of_the_expected_calibration_error() -> None:
    probabilities = draw_probabilities(400, 4)
    probabilities[0] = (0.2, 0.2, 0.2, 0.4)  # 0.4 is the upper bound of a bin
    truth = np.random.default_rng(3).integers(0, 4, 400)
    bins = confidence_bins(truth, probabilities)
    assert sum(each.photos for each in bins) == 400
    gaps = sum(each.photos * abs(each.accuracy - each.confidence) for each in bins)
    assert gaps / 400 == pytest.approx(expected_calibration_error(truth, probabilities))
    assert all(each.low < each.confidence <= each.low + 1 / 15 for each in bins)
    assert all(each.interval == wilson_interval(round(each.accuracy * each.photos), each.photos) for each in bins)
