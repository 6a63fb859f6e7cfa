"""Tests whether labels have other shares among new photos than among earlier ones."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Counts = npt.NDArray[np.int64]


class ShareTest(NamedTuple):
    """Test of the label whose share changed most clearly."""

    label: int  #: Index of the label.
    new: float  #: Its share among new photos, in [0, 1].
    earlier: float  #: Its share among earlier photos, in [0, 1].
    p_value: float  #: Probability that the share of any label differs as much by chance.
    effect: float  #: Cohen's h: the difference of the shares, each transformed to 2 arcsin √share.


def compare_shares(new: Counts, earlier: Counts) -> ShareTest:
    """Compare the photos of each of L labels, int64 [L] each, by Fisher's exact test, corrected for L (Bonferroni)."""
    values = np.array([exact_test(*counts, new.sum(), earlier.sum()) for counts in zip(new, earlier, strict=True)])
    # Of equally unlikely shares, one that rose: its photos can be shown.
    shares = new / new.sum(), earlier / earlier.sum()
    effects = 2 * np.arcsin(np.sqrt(shares[0])) - 2 * np.arcsin(np.sqrt(shares[1]))
    label = int(np.lexsort((-effects, values))[0])
    p_value = min(1.0, float(values[label]) * len(values))
    return ShareTest(label, float(shares[0][label]), float(shares[1][label]), p_value, abs(float(effects[label])))


def exact_test(new: int, earlier: int, all_new: int, all_earlier: int) -> float:
    """Two-sided p-value of Fisher's exact test: twice the smaller tail of the hypergeometric distribution.

    Args:
        new: Photos of a label among the new ones.
        earlier: Photos of the label among the earlier ones.
        all_new: Number of new photos.
        all_earlier: Number of earlier photos.
    """
    own, everything = new + earlier, all_new + all_earlier
    counts = np.arange(max(0, own - all_earlier), min(own, all_new) + 1)
    logs = _log_binomial(own, counts) + _log_binomial(everything - own, all_new - counts)
    chances = np.exp(logs - _log_binomial(everything, np.array(all_new)))
    return min(1.0, 2 * float(min(chances[counts <= new].sum(), chances[counts >= new].sum())))


def _log_binomial(total: int, chosen: Counts) -> npt.NDArray[np.float64]:
    logs: npt.NDArray[np.float64] = gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1)
    return logs
