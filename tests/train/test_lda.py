"""Linear discriminant analysis: scikit-learn's, where there is no shrinkage, and what shrinkage and weights do."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tasks.errors import SettingError
from tasks.train.lda import Discriminant, Layer
from tasks.train.statistics import Statistics
from tests.train.examples import Drawn, draw_examples

WIDTH = 10


def statistics_of(drawn: Drawn, labels: int) -> Statistics:
    found = Statistics.none(labels, WIDTH)
    found.add(drawn.numbers, drawn.labels)
    return found


def scores(layer: Layer, drawn: Drawn) -> npt.NDArray[np.float64]:
    """Of every row, [N V, C]."""
    rows = drawn.numbers.reshape(-1, WIDTH).astype(np.float64) - 128
    return rows @ layer.weights + layer.biases


def log_odds(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values - values[:, :1]


def test_with_hardly_any_shrinkage_its_log_odds_are_scikit_learn_s() -> None:
    drawn = draw_examples((300, 200, 100), apart=0.5)
    layer = Discriminant(statistics_of(drawn, 3)).solve(1e-6, np.ones(WIDTH)).layer
    rows, truth = drawn.numbers.reshape(-1, WIDTH).astype(float), np.repeat(drawn.labels, 2)
    expected = LinearDiscriminantAnalysis(solver="lsqr").fit(rows, truth).predict_log_proba(rows)
    np.testing.assert_allclose(log_odds(scores(layer, drawn)), log_odds(expected), atol=2e-3)


def test_it_is_the_naive_formula_on_standardised_rows() -> None:
    drawn = draw_examples((40, 30), apart=0.3)
    shrinkage, weights = 0.3, np.linspace(0.2, 1, WIDTH)
    rows, truth = drawn.numbers.reshape(-1, WIDTH).astype(float), np.repeat(drawn.labels, 2)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0) * weights
    means = np.stack([standard[truth == label].mean(axis=0) for label in range(2)])
    within = np.mean(
        [np.outer(row - means[label], row - means[label]) for row, label in zip(standard, truth, strict=True)], 0
    )
    inverse = np.linalg.inv(within + shrinkage * np.eye(WIDTH))
    prior = np.log(np.bincount(truth) / len(truth))
    expected = standard @ inverse @ means.T - 0.5 * np.diag(means @ inverse @ means.T) + prior
    layer = Discriminant(statistics_of(drawn, 2)).solve(shrinkage, weights).layer
    np.testing.assert_allclose(scores(layer, drawn), expected, rtol=1e-4, atol=1e-4)


def test_numbers_of_weight_zero_have_no_say() -> None:
    drawn = draw_examples((40, 30), apart=0.3)
    weights = np.array([1.0] * 6 + [0.0] * 4)
    layer = Discriminant(statistics_of(drawn, 2)).solve(0.5, weights).layer
    assert not layer.weights[6:].any()
    without = Drawn(drawn.numbers.copy(), drawn.labels)
    without.numbers[..., 6:] = 7
    alone = Discriminant(statistics_of(without, 2)).solve(0.5, weights).layer
    np.testing.assert_allclose(layer.weights, alone.weights, rtol=1e-5)


def test_a_uniform_prior_takes_nothing_but_the_frequencies_from_the_scores() -> None:
    drawn = draw_examples((90, 30), apart=0.3)
    known = statistics_of(drawn, 2)
    frequent, uniform = (
        Discriminant(known, uniform_prior=how).solve(1.0, np.ones(WIDTH)).layer for how in (False, True)
    )
    np.testing.assert_array_equal(frequent.weights, uniform.weights)
    assert np.diff(frequent.biases - uniform.biases) == pytest.approx(np.log(30 / 90))


def test_a_label_without_rows_is_never_predicted() -> None:
    drawn = draw_examples((20, 20))
    layer = Discriminant(statistics_of(drawn, 3)).solve(1.0, np.ones(WIDTH)).layer
    assert layer.biases[2] == -np.inf
    assert np.isfinite(layer.weights).all()
    assert np.isfinite(layer.biases[:2]).all()


def test_a_number_that_never_varies_is_no_harm() -> None:
    drawn = draw_examples((20, 20))
    drawn.numbers[..., 3] = 200
    layer = Discriminant(statistics_of(drawn, 2)).solve(0.1, np.ones(WIDTH)).layer
    assert np.isfinite(layer.weights).all()
    np.testing.assert_allclose(layer.weights[3], 0, atol=1e-6)


def test_more_numbers_than_rows_are_solved_for() -> None:
    wide = draw_examples((2, 2), width=500)
    found = Statistics.none(2, 500)
    found.add(wide.numbers, wide.labels)
    layer = Discriminant(found).solve(1.0, np.ones(500)).layer
    rows = wide.numbers.reshape(-1, 500).astype(np.float64) - 128
    assert ((rows @ layer.weights + layer.biases).argmax(axis=1) == np.repeat(wide.labels, 2)).all()


def test_a_shrinkage_that_is_too_small_is_refused() -> None:
    wide = draw_examples((2, 2), width=500)
    found = Statistics.none(2, 500)
    found.add(wide.numbers, wide.labels)
    with pytest.raises(SettingError, match="--shrinkage 1e-12 is too small"):
        Discriminant(found).solve(1e-12, np.ones(500))


def test_the_same_statistics_give_the_same_bits() -> None:
    known = statistics_of(draw_examples((90, 60)), 2)
    one, other = (Discriminant(known).solve(0.3, np.ones(WIDTH)).layer for _ in range(2))
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.biases, other.biases)


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("weights", [np.ones(WIDTH), np.array([1.0] * 6 + [0.5, 0.5, 0.0, 0.0])])
def test_scores_of_photos_left_out_are_those_of_layers_that_never_saw_them(
    weights: npt.NDArray[np.float64], *, uniform: bool
) -> None:
    drawn = draw_examples((60, 40, 30), apart=0.3)
    everything = np.arange(len(drawn.labels))
    solution = Discriminant(statistics_of(drawn, 3), uniform_prior=uniform).solve(0.5, weights)
    some = everything[::7]
    found = solution.left_out_scores(drawn.numbers[some], drawn.labels[some])
    assert found.shape == (len(some), 2, 3)
    for place, photo in enumerate(some):
        others = Drawn(drawn.numbers[everything != photo], drawn.labels[everything != photo])
        alone = Drawn(drawn.numbers[[photo]], drawn.labels[[photo]])
        layer = Discriminant(statistics_of(others, 3), uniform_prior=uniform).solve(0.5, weights).layer
        # Mean and deviation of all photos stay, which the layer of the others has of its own.
        np.testing.assert_allclose(log_odds(found[place]), log_odds(scores(layer, alone)), atol=0.05)
