"""The paired comparison against its definition, and its result if both models are alike."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.stats import beta

from tasks.champion.decision import LABEL_LEVEL
from tasks.champion.mcnemar import Hits, Labels, compare_hits, compare_labels


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


def by_label(*cases: tuple[int, int], both: int = 10) -> tuple[Hits, Hits, Labels]:
    """The hits of two models and the labels, given for each label the photos that each model alone predicts rightly."""
    parts = [hits(both, only_new, only_champion, 2) for only_new, only_champion in cases]
    labels = [np.full(len(new), f"label {at}", object) for at, (new, _) in enumerate(parts)]
    new, champion = (np.concatenate([part[model] for part in parts]) for model in (0, 1))
    order = np.random.default_rng(1).permutation(len(new))
    return new[order], champion[order], np.concatenate(labels)[order]


def lower_tail(only_new: int, only_champion: int) -> float:
    """P(X <= c), X from Binomial(D, 1/2), straight from its definition."""
    discordant = only_new + only_champion
    return float(sum(comb(discordant, count) for count in range(only_new + 1)) / 2.0**discordant)


def test_labels_are_compared_on_their_own_photos_by_one_tail_corrected_for_their_number() -> None:
    first, second, third = compare_labels(*by_label((1, 9), (20, 3), (2, 10)))
    assert (first.label, first.photos, first.new_right, first.champion_right) == ("label 0", 22, 11, 19)
    tails = [lower_tail(1, 9), lower_tail(20, 3), lower_tail(2, 10)]
    assert first.p_value == pytest.approx(3 * tails[0])
    # Holm: the second smallest one counts for those that are left, and is no smaller than the one before.
    assert third.p_value == pytest.approx(max(3 * tails[0], 2 * tails[2]))
    assert second.p_value == pytest.approx(min(1.0, tails[1]))
    assert [label.worse for label in (first, second, third)] == [True, False, True]


@pytest.mark.parametrize(
    ("cases", "tested"),
    [
        ([(0, 4)], []),
        ([(0, 5)], [0]),
        ([(0, 5), (4, 0), (1, 1)], [0]),
        ([(0, 5), (0, 5)], []),
        ([(0, 6), (6, 0)], [0, 1]),
        ([(0, 0)] * 3, []),
    ],
)
def test_only_labels_with_enough_photos_for_a_rejection_are_tested(
    cases: list[tuple[int, int]], tested: list[int]
) -> None:
    assert [label.label for label in compare_labels(*by_label(*cases))] == [f"label {at}" for at in tested]


@pytest.mark.parametrize("discordant", [(5,), (5, 6), (7, 9, 11), (4, 8, 8), (6, 6, 6)])
def test_of_equal_models_at_most_the_level_fails_on_any_label_exactly(discordant: tuple[int, ...]) -> None:
    """All outcomes of a few labels, each with its probability."""
    failing = 0.0
    for outcome in product(*(range(count + 1) for count in discordant)):
        cases = [(only_new, count - only_new) for only_new, count in zip(outcome, discordant, strict=True)]
        chance = np.prod(
            [comb(count, only_new) / 2**count for only_new, count in zip(outcome, discordant, strict=True)]
        )
        if any(label.worse for label in compare_labels(*by_label(*cases, both=0))):
            failing += float(chance)
    assert 0 < failing <= LABEL_LEVEL


@pytest.mark.parametrize(("labels", "photos"), [(5, 200), (40, 2000), (200, 1000)])
def test_of_equal_models_at_most_the_level_fails_on_any_label_in_drawn_cases(labels: int, photos: int) -> None:
    """Two models that err on a tenth of the photos each, independently; 1,000 times."""
    random = np.random.default_rng(0)
    failing = 0
    for _ in range(1000):
        new, champion = random.random((2, photos)) < 0.9
        names = random.integers(0, labels, photos).astype(object)
        failing += any(label.worse for label in compare_labels(new, champion, names))
    assert failing <= 1000 * LABEL_LEVEL


def test_a_model_that_has_lost_a_label_fails_however_many_labels_there_are() -> None:
    cases = [(3, 3)] * 99 + [(0, 14)]
    found = [label for label in compare_labels(*by_label(*cases)) if label.worse]
    assert [label.label for label in found] == ["label 99"]
