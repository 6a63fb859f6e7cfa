"""Exact paired test of two models on the same photos."""

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv

from tasks.champion.decision import Bounds, Comparison
from tasks.evaluate.metrics import CONFIDENCE

#: Whether a model predicts each of N photos rightly: bool [N].
Hits = npt.NDArray[np.bool_]


def compare_hits(new: Hits, champion: Hits, left_out: int = 0) -> Comparison:
    """Compare the photos that two models predict rightly.

    Photos that both or neither predict rightly do not tell the models apart. Of the D others, the new model is right on
    c, the champion on b = D - c; were they equally good, c would be a draw from Binomial(D, 1/2). This is the exact
    test of McNemar 1947, Note on the sampling error of the difference between correlated proportions.

    The difference of the accuracies is (c - b) / N = D/N (2p - 1), where p = c / D is the new model's share of the D.
    Its interval puts the bounds of Clopper and Pearson 1934 in the place of p, and takes D as given. As both invert the
    same binomial tails, the interval lies below zero exactly where the new model is right on the fewer of the D and the
    two-sided test rejects at 5 %, and above zero likewise. `left_out` counts the photos of the test split that are not
    among the N, at least 1.
    """
    only_new, only_champion = int((new & ~champion).sum()), int((champion & ~new).sum())
    discordant = only_new + only_champion
    low = high = 0.0
    p_value = 1.0
    if discordant:
        # SciPy's `binomtest` does the same, but the import of `scipy.stats` takes 0.4 s of every run.
        p_value = min(1.0, 2 * float(bdtr(min(only_new, only_champion), discordant, 0.5)))
        tail = (1 - CONFIDENCE) / 2
        bounds = (
            betaincinv(only_new, only_champion + 1, tail) if only_new else 0.0,
            betaincinv(only_new + 1, only_champion, 1 - tail) if only_champion else 1.0,
        )
        low, high = (discordant / len(new) * (2 * float(bound) - 1) for bound in bounds)
    return Comparison(
        left_out=left_out,
        both=int((new & champion).sum()),
        only_new=only_new,
        only_champion=only_champion,
        neither=int((~new & ~champion).sum()),
        interval=Bounds(low, high, CONFIDENCE),
        p_value=p_value,
    )
