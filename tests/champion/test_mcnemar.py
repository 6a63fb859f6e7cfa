"""The paired comparison against its definition, and its result if both models are alike."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.stats import beta

from tasks.champion.mcnemar import Hits, compare_hits


def hits(both: int, only_new: int, only_champion: int, neither: int) -> tuple[Hits, Hits]:
    """Return the hits of two models, given the count of each case; the cases are mixed."""
    new = np.repeat([True, True, False, False], [both, only_new, only_champion, neither])
    champion = np.repeat([True, False, True, False], [both, only_new, only_champion, neither])
    order = np.random.default_rng(0).permutation(len(new))
    return new[order], champion[order]


def exact_p_value(only_new: int, only_champion: int) -> float:
    """Both tails of Binomial(D, 1/2), straight from their definition."""
    discordant, fewer = only_new + only_champion, min(only_new, only_champion)
    tail: int = sum(comb(discordant, count) for count in range(fewer + 1))
    return min(1.0, 2 * tail / 2.0**discordant)


def test_photos_are_counted_by_who_is_right() -> None:
    comparison = compare_hits(*hits(50, 7, 3, 20), left_out=9)
    counts = (comparison.both, comparison.only_new, comparison.only_champion, comparison.neither, comparison.left_out)
    assert counts == (50, 7, 3, 20, 9)
    assert comparison.photos == 80
    assert (comparison.new_accuracy, comparison.champion_accuracy) == (57 / 80, 53 / 80)
    assert comparison.difference == pytest.approx(comparison.new_accuracy - comparison.champion_accuracy)


@pytest.mark.parametrize(("only_new", "only_champion"), [(7, 3), (0, 8), (12, 12), (1, 0), (0, 0)])
def test_figures_are_those_of_the_definitions(only_new: int, only_champion: int) -> None:
    comparison = compare_hits(*hits(40, only_new, only_champion, 10))
    discordant, photos = only_new + only_champion, 50 + only_new + only_champion
    low = beta.ppf(0.025, only_new, only_champion + 1) if only_new else 0.0
    high = beta.ppf(0.975, only_new + 1, only_champion) if only_champion else 1.0
    expected = [discordant / photos * (2 * bound - 1) for bound in (low, high)]
    assert comparison.interval[:2] == pytest.approx(expected, abs=1e-9)
    assert comparison.p_value == pytest.approx(exact_p_value(only_new, only_champion))


def test_a_model_is_worse_or_better_exactly_where_the_exact_test_rejects_at_5_per_cent() -> None:
    cases = [(new, champion) for new, champion in product(range(21), repeat=2) if new + champion <= 26]
    verdicts = []
    for only_new, only_champion in cases:
        comparison = compare_hits(*hits(3, only_new, only_champion, 1))
        rejected = exact_p_value(only_new, only_champion) < 0.05
        assert comparison.worse == (rejected and only_new < only_champion), (only_new, only_champion)
        assert comparison.better == (rejected and only_new > only_champion), (only_new, only_champion)
        verdicts.append(comparison.worse)
    assert {True, False} == set(verdicts)
