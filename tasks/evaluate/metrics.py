"""Metrics of predictions: accuracy and its interval, log loss, calibration, confusion matrix, scores by label."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tasks.train.scores import log_loss

CONFIDENCE = 0.95
#: Bins of the top probability.
BINS = 15


class Interval(NamedTuple):
    """Bounds of a share, each in [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True)
class LabelMetrics:
    """Scores of one label."""

    label: str
    photos: int  #: Number of photos of the label.
    predicted: int  #: Number of photos with the label predicted.
    correct: int  #: Number of photos of the label that are predicted rightly.
    precision: float | None  #: correct / predicted; None if the label is never predicted.
    recall: float | None  #: correct / photos; None if no photo has the label.
    f1: float | None  #: Harmonic mean of precision and recall, 2 correct / (photos + predicted); None if both are 0.

    @property
    def precision_interval(self) -> Interval | None:
        """The 95 % Wilson interval of the precision; None if the label is never predicted."""
        return wilson_interval(self.correct, self.predicted) if self.predicted else None

    @property
    def recall_interval(self) -> Interval | None:
        """The 95 % Wilson interval of the recall; None if no photo has the label."""
        return wilson_interval(self.correct, self.photos) if self.photos else None


@dataclass(frozen=True, eq=False)  # a generated == would fail on arrays
class Metrics:
    """Metrics of predictions."""

    photos: int  #: Number of photos.
    correct: int  #: Number of photos that are predicted rightly.
    accuracy: float  #: correct / photos.
    interval: Interval  #: The 95 % Wilson interval of the accuracy.
    log_loss: float  #: Mean of -ln(probability of the true label), in nats.
    expected_calibration_error: float  #: See the function of this name.
    #: int64 [C, C], photos by true label (rows) and predicted label (columns), both in the labels' order.
    confusion: NDArray[np.int64]
    per_label: tuple[LabelMetrics, ...]  #: One entry a label, in the labels' order.

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values for metrics.json; what is undefined is None."""
        return {
            **vars(self),
            "interval": {**self.interval._asdict(), "confidence": CONFIDENCE},
            "labels": [entry.label for entry in self.per_label],
            "confusion": self.confusion.tolist(),
            "per_label": [asdict(entry) for entry in self.per_label],
        }


def wilson_interval(correct: int, total: int) -> Interval:
    """Return the 95 % confidence interval of a share.

    Wilson's score interval (Wilson 1927, Probable inference, the law of succession, and statistical inference), which
    stays inside [0, 1] and keeps its coverage near 0 and 1, where the normal approximation loses it.

    Raises:
        ValueError: There are no trials, or more successes than trials.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"a share of {correct} of {total} trials has no interval: give 1 trial at least")
    # SciPy's `binomtest` has this formula too, but the import of `scipy.stats` takes 0.4 s of every run.
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    share = correct / total
    scale = 2 * (total + z**2)
    centre = (2 * total * share + z**2) / scale
    half = z / scale * math.sqrt(4 * total * share * (1 - share) + z**2)
    return Interval(0.0 if correct == 0 else centre - half, 1.0 if correct == total else centre + half)


def bin_confidence(confidence: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Return the bin of each top probability: float64 [N] to int [N]; bin m of M holds (m / M, (m + 1) / M]."""
    return np.digitize(confidence, np.arange(1, bins) / bins, right=True)


def expected_calibration_error(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32], bins: int = BINS
) -> float:
    """Return the expected calibration error.

    Guo et al. 2017, On calibration of modern neural networks, eq. 3: photos are binned by their top probability, and
    the bins' |accuracy - mean top probability| are averaged, weighted by their photos.

    Args:
        truth: int [N], index of the true label in [0, C).
        probabilities: float32 [N, C], in [0, 1], each row sums to 1; N at least 1.
        bins: Number M of bins of equal width; bin m holds the probabilities in ((m - 1) / M, m / M].

    Returns:
        The error in [0, 1]; 0 is perfect calibration.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    binned = bin_confidence(confidence, bins)
    # A bin's weight n_m / N cancels the n_m of its means, so that the sum of its differences over N remains.
    gaps = np.bincount(binned, weights=hit - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def measure(truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32], labels: Sequence[str]) -> Metrics:
    """Measure predictions against the true labels.

    Args:
        truth: int [N], index of the true label in [0, C).
        probabilities: float32 [N, C], in [0, 1], each row sums to 1; the label with the top one is predicted.
        labels: The C labels, at least 2, in the order of the columns. Not every label needs a photo.

    Raises:
        ValueError: There is no photo, or the shapes do not match.
    """
    if len(truth) == 0 or probabilities.shape != (len(truth), len(labels)):
        raise ValueError(
            f"{len(truth)} photos and {len(labels)} labels need as many rows and columns of probabilities, "
            f"and at least one row; given is {probabilities.shape}."
        )
    pairs = truth.astype(np.int64) * len(labels) + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
    correct = int(np.trace(confusion))
    return Metrics(
        photos=len(truth),
        correct=correct,
        accuracy=correct / len(truth),
        interval=wilson_interval(correct, len(truth)),
        log_loss=log_loss(probabilities, truth),
        expected_calibration_error=expected_calibration_error(truth, probabilities),
        confusion=confusion,
        per_label=_per_label(confusion, labels),
    )


def measure_cross_validation(
    folds: int, truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32], labels: Sequence[str]
) -> dict[str, Any]:
    """Measure the predictions of a cross-validation as metrics.json holds it; the arguments are those of `measure`."""
    measured = measure(truth, probabilities, labels).to_json()
    names = ("accuracy", "interval", "log_loss", "expected_calibration_error")
    return {"folds": folds, **{name: measured[name] for name in names}}


def _per_label(confusion: NDArray[np.int64], labels: Sequence[str]) -> tuple[LabelMetrics, ...]:
    counts = (confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist(), confusion.diagonal().tolist())
    return tuple(
        LabelMetrics(
            label=label,
            photos=photos,
            predicted=predicted,
            correct=correct,
            precision=_share(correct, predicted),
            recall=_share(correct, photos),
            f1=_share(2 * correct, photos + predicted),
        )
        for label, photos, predicted, correct in zip(labels, *counts, strict=True)
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
