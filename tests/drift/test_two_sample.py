"""Permutation tests within labels, compared with all permutations of small samples and with SciPy."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import rankdata

from tasks.drift.two_sample import MOST_DRAWS, Floats, Samples, compare_samples, ranks

#: No end of the draws before the last one.
ALL_DRAWS = 1.0
SMALL = Samples(np.repeat([0, 1], [6, 5]), np.array([1, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0], bool))


def test_ranks_are_those_of_each_label_with_equal_values_alike() -> None:
    values = np.random.default_rng(0).integers(0, 4, 11).astype(float)
    expected = np.concatenate([rankdata(values[:6]) / 7, rankdata(values[6:]) / 6])
    assert ranks(values, SMALL)[:, 0] == pytest.approx(expected)


def exact_p(numbers: Floats, samples: Samples) -> float:
    """Share of all ways to choose as many photos of each label whose means are as far apart."""
    centred = np.concatenate([numbers[own] - numbers[own].mean(axis=0) for own in samples.strata])
    choices = [combinations(range(own.start, own.stop), int(samples.new[own].sum())) for own in samples.strata]
    sums = np.array([centred[[*chain]].sum(axis=0) for chain in ([*a, *b] for a, b in product(*choices))])
    found, own = np.square(sums).sum(axis=1), np.square(centred[samples.new].sum(axis=0)).sum()
    return float((found >= own * (1 - 1e-9)).mean())


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_p_value_is_the_share_of_all_permutations_within_labels(columns: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(size=(11, columns))
    (test,) = compare_samples([numbers], SMALL, ALL_DRAWS)
    assert test.p_value == pytest.approx(exact_p(numbers, SMALL), abs=4 * 0.5 / MOST_DRAWS**0.5)


def test_a_difference_of_labels_alone_is_none() -> None:
    labels = np.repeat([0, 1], [500, 500])
    new = np.arange(1000) % 500 < np.where(labels == 0, 100, 5)
    samples, numbers = Samples(labels, new), 5.0 * labels + np.random.default_rng(0).normal(size=1000)
    assert numbers[new].mean() < numbers[~new].mean() - 2
    (test,) = compare_samples([ranks(numbers, samples)], samples, 0.01)
    assert test.p_value > 0.05


def test_the_effect_of_a_shift_is_its_size_in_standard_deviations_within_labels() -> None:
    random = np.random.default_rng(0)
    samples = Samples(np.repeat([0, 1], 1000), np.arange(2000) % 5 == 0)
    numbers = 3.0 * random.normal(size=(2000, 4)) + 10.0 * samples.labels[:, np.newaxis]
    same, shifted = numbers.copy(), numbers + 3.0 * samples.new[:, np.newaxis] * [1, 0, 0, 1]
    one, many, none = compare_samples([shifted[:, :1], shifted, same], samples, ALL_DRAWS)
    # By the standard deviation of all photos of a label, which the shift of a fifth of them increases to 1.08.
    assert one.effect == pytest.approx(1 / 1.08, abs=0.1)
    assert many.effect == pytest.approx((2 / (4 + 2 * 0.16)) ** 0.5, abs=0.05)
    assert none.effect < 0.2
    assert one.p_value == many.p_value == pytest.approx(1 / (MOST_DRAWS + 1))
    assert many.typical[samples.new].mean() > many.typical[~samples.new].mean()


def test_the_draws_end_early_where_no_property_can_differ_and_never_with_a_small_p_value() -> None:
    numbers = np.random.default_rng(1).normal(size=(2000, 1))
    samples = Samples(np.zeros(2000, np.int64), np.arange(2000) < 100)
    (quick,) = compare_samples([numbers], samples, 0.001)
    (whole,) = compare_samples([numbers], samples, ALL_DRAWS)
    assert quick.p_value * 501 == pytest.approx(round(quick.p_value * 501)), "one chunk of draws"
    assert quick.p_value > 0.001
    assert quick.p_value == pytest.approx(whole.p_value, abs=0.1)


def test_a_constant_property_differs_nowhere() -> None:
    constant, other = np.full((11, 1), 0.1), np.random.default_rng(0).normal(size=(11, 1))
    test, _ = compare_samples([constant, other], SMALL, ALL_DRAWS)
    assert (test.p_value, test.effect) == (1.0, 0.0)
    assert not test.typical.any()


def test_no_more_runs_have_a_p_value_below_a_level_than_the_level_says() -> None:
    random = np.random.default_rng(0)
    samples = Samples(np.repeat([0, 1, 2], 20), np.tile([True, False, False, False], 15))
    # Rare and skewed values, for which normal approximations fail.
    found = [compare_samples([random.pareto(0.5, (60, 1))], samples, 0.04)[0].p_value for _ in range(300)]
    assert np.mean(np.array(found) <= 0.05) < 0.09
