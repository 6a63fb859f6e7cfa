"""Two models on the same photos: is one of them worse than chance alone would make it?"""

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from tasks.champion.decision import Bounds, Comparison
from tasks.evaluate.metrics import CONFIDENCE

Hits = npt.NDArray[np.bool_]


def compare_hits(new: Hits, champion: Hits, left_out: int = 0) -> Comparison:
    """Compare what two models hit and miss.

    Photos on which both are right, or both wrong, say nothing on which is better. Of the D others, the new model is
    right on c, the champion on b = D - c; were they equally good, c would be a draw from Binomial(D, 1/2). That is the
    exact test of McNemar 1947, Note on the sampling error of the difference between correlated proportions.

    The difference of the accuracies is (c - b) / N = D/N (2p - 1), with p = c / D the share of the D that go to the new
    model. Its interval puts the bounds of Clopper and Pearson 1934 in the place of p, and takes D as given. As both
    invert the same binomial tails, the interval lies below zero exactly where the new model is right on the fewer of
    the D and the two-sided test rejects at 5 %, and above zero likewise.

    Args:
        new: Whether the new model is right: bool [N], N at least 1.
        champion: Whether the champion is, on the same photos: bool [N].
        left_out: How many photos of the test split are not among the N.
    """
    only_new, only_champion = int((new & ~champion).sum()), int((champion & ~new).sum())
    discordant = only_new + only_champion
    low = high = 0.0
    p_value = 1.0
    if discordant:
        test = binomtest(only_new, discordant)
        bounds, p_value = test.proportion_ci(CONFIDENCE, method="exact"), float(test.pvalue)
        low, high = (discordant / len(new) * (2 * float(bound) - 1) for bound in (bounds.low, bounds.high))
    return Comparison(
        left_out=left_out,
        both=int((new & champion).sum()),
        only_new=only_new,
        only_champion=only_champion,
        neither=int((~new & ~champion).sum()),
        interval=Bounds(low, high, CONFIDENCE),
        p_value=p_value,
    )
