"""Scores and calibration: the temperature that scores were multiplied by is found again."""

import numpy as np
import numpy.typing as npt
import pytest

from tasks.train.head import probabilities
from tasks.train.scores import fit_temperature


def drawn(photos: int, labels: int = 3, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Scores of two equal views, and labels as frequent as the probabilities of the scores."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (photos, 2, labels)).astype(np.float32)
    scores[:, 1] = scores[:, 0]
    chances = probabilities(scores)
    truth = np.array([random.choice(labels, p=row / row.sum()) for row in chances.astype(float)])
    return scores, truth


@pytest.mark.parametrize("factor", [0.5, 1, 4, 30])
def test_scores_that_were_multiplied_are_divided_again(factor: float) -> None:
    scores, truth = drawn(20_000)
    assert fit_temperature(scores * np.float32(factor), truth) == pytest.approx(factor, rel=0.05)


def test_a_few_photos_that_are_all_right_do_not_ask_for_certainty() -> None:
    scores = np.array([[[3.0, 0.0]]] * 10, np.float32)
    found = probabilities(scores / np.float32(fit_temperature(scores, np.zeros(10, np.int64))))
    assert 0.9 < found[0, 0] < 0.999


def test_scores_without_information_are_flattened() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(0, 5, (500, 1, 4)).astype(np.float32)
    found = probabilities(scores / np.float32(fit_temperature(scores, random.integers(0, 4, 500))))
    assert np.abs(found - 0.25).max() < 0.1


def test_a_label_that_is_never_predicted_is_no_harm() -> None:
    scores, truth = drawn(200)
    scores[..., 2] = -np.inf
    assert np.isfinite(fit_temperature(scores, truth))
