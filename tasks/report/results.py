"""Results section: metrics of the test split by label, precision-recall curves and calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.evaluate.metrics import BINS, Interval, Metrics, bin_confidence, measure, wilson_interval
from tasks.evaluate.predictions import PredictedPhotos

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """A precision-recall curve."""

    recall: Doubles  #: float64 [K], rising, one point for each number of photos found.
    precision: Doubles  #: float64 [K], precision at that recall.
    average: float  #: Average precision, the area under these steps.


class ConfidenceBin(NamedTuple):
    """Photos whose top probabilities lie in one bin."""

    low: float  #: Lower bound of the bin, excluded.
    photos: int  #: Number of photos, at least 1.
    confidence: float  #: Mean of their top probabilities.
    accuracy: float  #: Share of them that is predicted rightly.
    interval: Interval  #: 95 % Wilson interval of the accuracy.


@dataclass(frozen=True, eq=False)
class Results:
    """Results of a model on the test split."""

    metrics: Metrics
    #: Precision-recall curves by label, in the labels' order; a label without a test photo has none.
    curves: Mapping[str, PrecisionRecall]
    average_curve: PrecisionRecall  #: Micro average of the curves: every pair of a photo and a label counts once.
    bins: Sequence[ConfidenceBin]  #: Bins of confidence that hold photos, in their order.


def measure_results(predicted: PredictedPhotos) -> Results:
    """Measure the predictions of the test split."""
    photos, test = predicted.photos, predicted.photos.of("test")
    truth, probabilities = photos.truth[test], predicted.probabilities[test]
    has_label = truth[:, None] == np.arange(len(photos.labels))
    curves = {
        label: precision_recall(own, scores)
        for label, own, scores in zip(photos.labels, has_label.T, probabilities.T, strict=True)
        if own.any()
    }
    return Results(
        metrics=measure(truth, probabilities, photos.labels),
        curves=curves,
        average_curve=precision_recall(has_label.ravel(), probabilities.ravel()),
        bins=confidence_bins(truth, probabilities),
    )


def precision_recall(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> PrecisionRecall:
    """Measure precision at every recall.

    Average precision is sum_n (R_n - R_(n-1)) P_n over the thresholds n (scikit-learn's definition), since linear
    interpolation between the points would be too optimistic.

    Args:
        truth: bool [N], whether each photo has the label; at least one has.
        scores: float32 [N], higher for photos that are more likely to have it.
    """
    order = np.argsort(-scores, kind="stable")
    # A threshold finds all photos of the same score together: the last of each.
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    found = np.cumsum(truth[order])[last]
    precision, recall = found / (last + 1), found / found[-1]
    steps = np.diff(recall, prepend=0.0)
    rising = steps > 0
    return PrecisionRecall(recall[rising], precision[rising], float((steps * precision).sum()))


def confidence_bins(truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32]) -> list[ConfidenceBin]:
    """Bin photos by their top probability, as the expected calibration error does; empty bins are left out.

    Args:
        truth: int [N], index of the true label.
        probabilities: float32 [N, C].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    binned = bin_confidence(confidence, BINS)
    bins = []
    for number in np.unique(binned).tolist():
        inside = binned == number
        photos, correct = int(inside.sum()), int(hit[inside].sum())
        mean, interval = float(confidence[inside].mean()), wilson_interval(correct, photos)
        bins.append(ConfidenceBin(number / BINS, photos, mean, correct / photos, interval))
    return bins
