"""What figures of the test split draw, computed: precision-recall curves, and accuracy by confidence."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from tasks.evaluate.metrics import BINS, Interval, bin_confidence, wilson_interval

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """How precision falls as more and more of what is looked for is found.

    Args:
        recall: float64 [K], rising, a point for each number of photos found.
        precision: float64 [K], of the photos predicted at that recall.
        average: The average precision, the area under these steps.
    """

    recall: Doubles
    precision: Doubles
    average: float


@dataclass(frozen=True)
class Bin:
    """Photos whose top probabilities lie between two bounds.

    Args:
        low: The lower bound, not included.
        high: The upper bound.
        photos: How many there are, one at least.
        confidence: Mean of their top probabilities.
        accuracy: Share of them that is predicted rightly.
        interval: Its 95 % Wilson interval.
    """

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float
    interval: Interval


def precision_recall(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> PrecisionRecall:
    """Measure precision at every recall.

    Average precision is sum_n (R_n - R_(n-1)) P_n over the thresholds n (scikit-learn's definition): no line is drawn
    between the points, which would be too kind.

    Args:
        truth: bool [N], what is looked for; one at least.
        scores: float32 [N], the larger, the surer.
    """
    precision, recall, _ = precision_recall_curve(truth, scores)
    # From the highest threshold to the lowest; scikit-learn's last point is of none, at a recall of 0.
    precision, recall = precision[-2::-1], recall[-2::-1]
    steps = np.diff(recall, prepend=0.0)
    found = steps > 0
    return PrecisionRecall(recall[found], precision[found], float((steps * precision).sum()))


def bins_of_confidence(truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32]) -> list[Bin]:
    """Put photos into bins by their top probability, as the expected calibration error does.

    Args:
        truth: int [N], index of the true label.
        probabilities: float32 [N, C].

    Returns:
        The bins that hold photos, in order.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    places = bin_confidence(confidence, BINS)
    bins = []
    for place in np.unique(places).tolist():
        here = places == place
        photos, correct = int(here.sum()), int(hit[here].sum())
        interval = wilson_interval(correct, photos)
        mean = float(confidence[here].mean())
        bins.append(Bin(place / BINS, (place + 1) / BINS, photos, mean, correct / photos, interval))
    return bins
