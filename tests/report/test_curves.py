"""What the figures of the test split draw, against naive loops."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tasks.evaluate.metrics import expected_calibration_error, wilson_interval
from tasks.report.curves import bins_of_confidence, precision_recall
from tests.evaluate.drawing import draw_probabilities


@pytest.mark.parametrize("seed", range(5))
def test_precision_and_recall_are_those_of_every_threshold_that_finds_one_more(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(60) < 0.3
    # Rounded, so that scores are equal now and then.
    scores = (random.random(60) + 0.4 * truth).round(1).astype(np.float32)
    naive: list[tuple[float, float]] = []
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        recall, precision = (chosen & truth).sum() / truth.sum(), (chosen & truth).sum() / chosen.sum()
        if not naive or recall > naive[-1][0]:
            naive.append((recall, precision))
    measured = precision_recall(truth, scores)
    naive = [one for one in naive if one[0] > 0]
    np.testing.assert_allclose(np.column_stack([measured.recall, measured.precision]), naive)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_scikit_learn_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(80) < 0.2
    scores = random.random(80).round(2).astype(np.float32)
    assert precision_recall(truth, scores).average == pytest.approx(average_precision_score(truth, scores))


def test_the_bins_are_those_of_the_expected_calibration_error() -> None:
    probabilities = draw_probabilities(400, 4)
    probabilities[0] = (0.2, 0.2, 0.2, 0.4)  # 0.4 is the upper bound of a bin
    truth = np.random.default_rng(3).integers(0, 4, 400)
    bins = bins_of_confidence(truth, probabilities)
    assert sum(one.photos for one in bins) == 400
    gaps = sum(one.photos * abs(one.accuracy - one.confidence) for one in bins)
    assert gaps / 400 == pytest.approx(expected_calibration_error(truth, probabilities))
    assert all(one.low < one.confidence <= one.high for one in bins)
    assert all(one.interval == wilson_interval(round(one.accuracy * one.photos), one.photos) for one in bins)
