"""The test split by label."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tasks.evaluate.metrics import wilson_interval
from tasks.report.predictions import Predicted
from tasks.report.results import judge
from tests.evaluate.drawing import draw_probabilities
from tests.report.laid_out import COUNTS, LABELS, draw_photos


def test_each_label_has_its_intervals_and_its_average_precision() -> None:
    photos, probabilities = draw_photos(), draw_probabilities(sum(COUNTS), 3)
    test = photos.of("test")
    truth, said = photos.truth[test], probabilities[test]
    results = judge(Predicted(photos, probabilities))
    assert [one.label for one in results.labels] == list(LABELS)
    for place, one in enumerate(results.labels):
        has, guessed = truth == place, said.argmax(axis=1) == place
        hits = int((has & guessed).sum())
        assert one.precision_interval == wilson_interval(hits, int(guessed.sum()))
        assert one.recall_interval == wilson_interval(hits, int(has.sum()))
        assert one.average_precision == pytest.approx(average_precision_score(has, said[:, place]))


def test_a_label_that_is_never_predicted_has_no_precision() -> None:
    photos = draw_photos()
    always = np.tile(np.array([0.8, 0.15, 0.05], np.float32), (sum(COUNTS), 1))
    first, *others = judge(Predicted(photos, always)).labels
    assert first.precision_interval is not None
    assert [(one.precision, one.precision_interval) for one in others] == [(None, None)] * 2
