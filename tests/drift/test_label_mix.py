"""Tests of labels' shares, compared with SciPy's."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from tasks.drift.label_mix import compare_shares, exact_test


@pytest.mark.parametrize(
    ("new", "earlier", "all_new", "all_earlier"),
    [(3, 10, 20, 200), (0, 50, 20, 200), (20, 0, 20, 200), (5, 5, 10, 10), (40, 350, 200, 1797), (0, 0, 20, 200)],
)
def test_a_p_value_is_twice_the_smaller_tail_of_the_hypergeometric_distribution(
    new: int, earlier: int, all_new: int, all_earlier: int
) -> None:
    chance = hypergeom(all_new + all_earlier, new + earlier, all_new)
    expected = min(1, 2 * min(chance.cdf(new), chance.sf(new - 1)))
    assert exact_test(new, earlier, all_new, all_earlier) == pytest.approx(expected, rel=1e-6)


def test_the_label_that_changed_most_clearly_is_tested_for_all_labels() -> None:
    new, earlier = np.array([80, 50, 40, 30]), np.array([360, 480, 500, 460])
    test = compare_shares(new, earlier)
    assert (test.label, test.new, test.earlier) == (0, 0.4, 0.2)
    assert test.p_value == pytest.approx(4 * exact_test(80, 360, 200, 1800))
    assert test.effect == pytest.approx(2 * np.arcsin(0.4**0.5) - 2 * np.arcsin(0.2**0.5))


def test_of_two_labels_that_changed_alike_it_is_the_one_that_rose() -> None:
    assert compare_shares(np.array([5, 25]), np.array([50, 50])).label == 1
    assert compare_shares(np.array([25, 5]), np.array([50, 50])).label == 0
