"""Exact paired test of two models on the same photos."""

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv

from tasks.champion.decision import LABEL_LEVEL, Bounds, Comparison, LabelComparison
from tasks.evaluate.metrics import CONFIDENCE

#: Whether a model predicts each of N photos rightly: bool [N].
Hits = npt.NDArray[np.bool_]
#: The label of each of N photos: str objects [N].
Labels = npt.NDArray[np.object_]
_Counts = npt.NDArray[np.int_]
_Floats = npt.NDArray[np.float64]


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


def compare_labels(new: Hits, champion: Hits, labels: Labels) -> tuple[LabelComparison, ...]:
    """Test on each label with enough photos whether a new model is worse than the champion.

    On a label the new model is right on c and the champion on b = D - c of the D photos that tell them apart. If the
    new model is no worse there, c or fewer have at most the probability P(X <= c), X from Binomial(D, 1/2): McNemar's
    test, one-sided. The p-values are corrected by Holm 1979, A simple sequentially rejective multiple test procedure,
    so that a model that is worse on no label fails on any label in at most `LABEL_LEVEL` of cases.
    """
    names, index = np.unique(labels, return_inverse=True)

    def count(chosen: Hits) -> _Counts:
        return np.bincount(index[chosen], minlength=len(names))

    photos, new_right, champion_right = count(np.ones_like(new)), count(new), count(champion)
    only_new = count(new & ~champion)
    discordant = only_new + count(champion & ~new)
    (tested,) = np.nonzero(_enough(discordant))
    p_values = _correct(bdtr(only_new[tested], discordant[tested], 0.5))
    return tuple(
        LabelComparison(str(names[at]), int(photos[at]), int(new_right[at]), int(champion_right[at]), float(p_value))
        for at, p_value in zip(tested, p_values, strict=True)
    )


def _enough(discordant: _Counts) -> Hits:
    """Choose the labels whose tests could reject, by their photos that tell the models apart: int [C] to bool [C].

    A label with D of these has no p-value below 1/2^D, and only makes the correction stricter for the others if that is
    above their level (Tarone 1990, A modified Bonferroni method for discrete data). The choice does not depend on which
    model is right, so that the level holds.
    """
    least, allowed = 0.5**discordant, 1
    while (enough := least <= LABEL_LEVEL / allowed).sum() > allowed:
        allowed += 1
    return enough


def _correct(p_values: _Floats) -> _Floats:
    """Correct p-values for their number by Holm's method: float64 [C], each."""
    order = np.argsort(p_values)
    stepwise = p_values[order] * np.arange(len(order), 0, -1)
    corrected = np.empty_like(stepwise)
    corrected[order] = np.minimum(1, np.maximum.accumulate(stepwise))
    return corrected
