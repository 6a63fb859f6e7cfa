"""Linear discriminant analysis: equal to scikit-learn's without shrinkage, and the effect of shrinkage and weights."""

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tasks.errors import SettingError
from tasks.train.lda import Discriminant, Layer
from tests.train.examples import Drawn, draw_examples, statistics_of

WIDTH = 10
ONES = np.ones(WIDTH)


def solve(
    drawn: Drawn, shrinkage: float, weights: npt.NDArray[np.float64] = ONES, *, labels: int = 2, uniform: bool = False
) -> Layer:
    return Discriminant(statistics_of(drawn, labels), uniform_prior=uniform).solve(shrinkage, weights).layer


def rows_of(drawn: Drawn) -> npt.NDArray[np.float64]:
    """Every row: [N V, D]."""
    return drawn.numbers.reshape(-1, drawn.numbers.shape[-1]).astype(np.float64)


def scores(layer: Layer, drawn: Drawn) -> npt.NDArray[np.float64]:
    """Scores of every row, [N V, C]."""
    return (rows_of(drawn) - 128) @ layer.weights + layer.biases


def log_odds(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values - values[:, :1]


def test_with_hardly_any_shrinkage_its_log_odds_are_scikit_learn_s() -> None:
    drawn = draw_examples((300, 200, 100), apart=0.5)
    layer = solve(drawn, 1e-6, labels=3)
    rows, truth = rows_of(drawn), np.repeat(drawn.labels, 2)
    expected = LinearDiscriminantAnalysis(solver="lsqr").fit(rows, truth).predict_log_proba(rows)
    np.testing.assert_allclose(log_odds(scores(layer, drawn)), log_odds(expected), atol=2e-3)


def test_it_is_the_naive_formula_on_standardised_rows() -> None:
    drawn = draw_examples((40, 30), apart=0.3)
    shrinkage, weights = 0.3, np.linspace(0.2, 1, WIDTH)
    rows, truth = rows_of(drawn), np.repeat(drawn.labels, 2)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0) * weights
    means = np.stack([standard[truth == label].mean(axis=0) for label in range(2)])
    residuals = standard - means[truth]
    inverse = np.linalg.inv(residuals.T @ residuals / len(rows) + shrinkage * np.eye(WIDTH))
    prior = np.log(np.bincount(truth) / len(truth))
    expected = standard @ inverse @ means.T - 0.5 * np.diag(means @ inverse @ means.T) + prior
    np.testing.assert_allclose(scores(solve(drawn, shrinkage, weights), drawn), expected, rtol=1e-4, atol=1e-4)


def test_numbers_of_weight_zero_have_no_say() -> None:
    drawn = draw_examples((40, 30), apart=0.3)
    weights = np.array([1.0] * 6 + [0.0] * 4)
    layer = solve(drawn, 0.5, weights)
    assert not layer.weights[6:].any()
    drawn.numbers[..., 6:] = 7
    np.testing.assert_allclose(layer.weights, solve(drawn, 0.5, weights).weights, rtol=1e-5)


def test_a_uniform_prior_takes_nothing_but_the_frequencies_from_the_scores() -> None:
    drawn = draw_examples((90, 30), apart=0.3)
    frequent, uniform = (solve(drawn, 1.0, uniform=uniform) for uniform in (False, True))
    np.testing.assert_array_equal(frequent.weights, uniform.weights)
    assert np.diff(frequent.biases - uniform.biases) == pytest.approx(np.log(30 / 90))


def test_a_label_without_rows_is_never_predicted_and_a_number_that_never_varies_is_no_harm() -> None:
    drawn = draw_examples((20, 20))
    drawn.numbers[..., 3] = 200
    layer = solve(drawn, 0.1, labels=3)
    assert layer.biases[2] == -np.inf
    assert np.isfinite(layer.weights).all()
    assert np.isfinite(layer.biases[:2]).all()
    np.testing.assert_allclose(layer.weights[3], 0, atol=1e-6)


def test_more_numbers_than_rows_are_solved_for_if_the_shrinkage_is_large_enough() -> None:
    wide = draw_examples((2, 2), width=500)
    layer = solve(wide, 1.0, np.ones(500))
    assert (scores(layer, wide).argmax(axis=1) == np.repeat(wide.labels, 2)).all()
    with pytest.raises(SettingError, match="--shrinkage 1e-12 is too small"):
        solve(wide, 1e-12, np.ones(500))


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("weights", [ONES, np.array([1.0] * 6 + [0.5, 0.5, 0.0, 0.0])])
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
        layer = solve(others, 0.5, weights, labels=3, uniform=uniform)
        # Mean and deviation of all photos stay, where the layer of the others has its own.
        np.testing.assert_allclose(log_odds(found[place]), log_odds(scores(layer, alone)), atol=0.05)


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("weights", [ONES, np.array([1.0] * 6 + [0.5, 0.5, 0.0, 0.0])])
@pytest.mark.parametrize("whole_label", [False, True])
def test_scores_of_a_fold_left_out_are_the_naive_formula_on_the_rows_outside_it(
    weights: npt.NDArray[np.float64], *, uniform: bool, whole_label: bool
) -> None:
    drawn = draw_examples((60, 50, 40), apart=0.3)
    inside = np.arange(len(drawn.labels)) % 5 == 2
    inside[drawn.labels == 2] |= whole_label
    outside = np.repeat(~inside, 2)
    shrinkage, share = 0.5, outside.mean()
    solution = Discriminant(statistics_of(drawn, 3), uniform_prior=uniform).solve(shrinkage * share, weights)
    found = solution.left_out_fold_scores(drawn.numbers[inside], drawn.labels[inside])
    assert found.shape == (inside.sum(), 2, 3)

    rows, truth = rows_of(drawn), np.repeat(drawn.labels, 2)
    standard = ((rows - rows.mean(axis=0)) / rows.std(axis=0) * weights)[:, weights > 0]
    known = range(2 if whole_label else 3)
    means = np.stack([standard[outside & (truth == label)].mean(axis=0) for label in known])
    residuals = standard[outside] - means[truth[outside]]
    covariance = residuals.T @ residuals / len(residuals) + shrinkage * np.eye(residuals.shape[1])
    inverse = np.linalg.inv(covariance)
    prior = np.bincount(truth[outside], minlength=3) / len(residuals)
    prior = (prior > 0) / len(known) if uniform else prior
    expected = standard[~outside] @ inverse @ means.T - 0.5 * np.diag(means @ inverse @ means.T) + np.log(prior[known])
    np.testing.assert_allclose(
        log_odds(found.reshape(len(expected), 3)[:, known]), log_odds(expected), rtol=1e-4, atol=1e-3
    )
    assert np.isneginf(found[..., 2]).all() == whole_label
