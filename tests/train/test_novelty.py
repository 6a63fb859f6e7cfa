"""Novelty: equal to the difference of distances that it stands for, and a threshold that keeps its rate."""

import numpy as np
import pytest
import scipy.special

from tasks.train.features import columns_of
from tasks.train.lda import Discriminant
from tasks.train.lda_training import LdaTrainer
from tasks.train.novelty import MAX_LABELS, SOFTNESS, Doubles, calibrate, fit_background, measure_novelty
from tests.train.examples import draw_examples, settings, statistics_of

LABELS = ("daisy", "roses", "tulips")
COUNTS = (60, 45, 30)
SHRINKAGE, TEMPERATURE = 0.4, 3.0


@pytest.mark.parametrize("uniform", [False, True])
def test_novelty_is_half_the_distance_to_the_labels_less_that_to_the_background(uniform: bool) -> None:
    """The distances are computed from inverse covariances, in which nothing cancels."""
    drawn, unseen = draw_examples(COUNTS), draw_examples((20, 20, 20), apart=0.3, seed=1)
    discriminant = Discriminant(statistics_of(drawn, 3), uniform_prior=uniform)
    layer = discriminant.solve(SHRINKAGE, np.ones(10)).layer
    products = (discriminant.means - discriminant.mean) @ layer.weights
    background = fit_background(products, discriminant.shares, discriminant.log_prior, TEMPERATURE)
    scores = ((unseen.numbers.astype(np.float64) - 128) @ layer.weights + layer.biases) / TEMPERATURE

    rows, truth = drawn.numbers.reshape(-1, 10).astype(np.float64), np.repeat(drawn.labels, 2)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    standard = (rows - mean) / deviation
    means = np.stack([standard[truth == label].mean(axis=0) for label in range(3)])
    residuals = standard - means[truth]
    within = TEMPERATURE * (residuals.T @ residuals / len(rows) + SHRINKAGE * np.eye(10))
    shares = np.bincount(truth) / len(truth)
    everything = within + (means * shares[:, None]).T @ means
    photos = (unseen.numbers - mean) / deviation

    def half_distance(centre: Doubles, covariance: Doubles) -> Doubles:
        offsets = photos - centre
        distance: Doubles = np.einsum("nvd,de,nve->nv", offsets, np.linalg.inv(covariance), offsets)
        return distance / 2

    prior = np.log(np.full(3, 1 / 3) if uniform else shares) / TEMPERATURE
    likelihoods = np.stack([prior[label] - half_distance(means[label], within) for label in range(3)], axis=-1)
    of_labels = -SOFTNESS * scipy.special.logsumexp(likelihoods / SOFTNESS, axis=-1)
    expected = (of_labels - half_distance(np.zeros(10), everything)).mean(axis=1)
    np.testing.assert_allclose(measure_novelty(scores.astype(np.float32), background), expected, rtol=1e-3, atol=1e-3)
    assert np.ptp(expected) > 0.1


def test_without_a_background_novelty_is_the_energy() -> None:
    scores = np.random.default_rng(0).normal(0, 50, (4, 2, 7)).astype(np.float32)
    expected = -scipy.special.logsumexp(scores.astype(np.float64), axis=-1).mean(axis=1)
    np.testing.assert_allclose(measure_novelty(scores, None), expected, rtol=1e-5)


def test_photos_of_a_label_that_was_left_out_are_more_novel_than_photos_of_the_others() -> None:
    how = settings()
    drawn, known = draw_examples((80, 80, 80), apart=3), draw_examples((30, 30, 30), apart=3, seed=1)
    left_out = draw_examples((0, 0, 0, 30), apart=3, seed=2)
    head, _ = LdaTrainer.of(how, LABELS).search_on(*drawn)
    of_known, of_left_out = (
        head.predict(columns_of(how).values(each.numbers, slice(None), rooted=True)).novelty
        for each in (known, left_out)
    )
    assert of_known is not None
    assert of_left_out is not None
    assert (of_left_out[:, None] > of_known).mean() > 0.9


def test_there_is_no_background_of_labels_without_rows_or_of_too_many_labels() -> None:
    some = np.eye(3)
    assert fit_background(some, np.array([0.5, 0.5, 0.0]), np.zeros(3), 1.0) is None
    many = MAX_LABELS + 1
    assert fit_background(np.zeros((many, many)), np.full(many, 1 / many), np.zeros(many), 1.0) is None


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_of_new_photos_at_most_the_rate_is_above_the_threshold(rate: float) -> None:
    """On average over test splits: with 39 photos, the rate is exact for both."""
    random = np.random.default_rng(0)
    shares = []
    for _ in range(3000):
        photos = random.exponential(size=(2, 39)).astype(np.float32)
        shares.append((photos[1] > calibrate(photos[0], rate)["threshold"]).mean())
    assert np.mean(shares) == pytest.approx(rate, abs=0.004)


def test_threshold_needs_19_photos_for_a_rate_of_5_percent() -> None:
    values = np.arange(19, dtype=np.float32)
    assert calibrate(values)["threshold"] == 18
    assert calibrate(values[:18]) == {"threshold": None, "false_alarms": 0.05, "test_photos": 18}
    assert calibrate(values[:0])["threshold"] is None
