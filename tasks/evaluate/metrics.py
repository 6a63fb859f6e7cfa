"""How good predictions are: accuracy with its interval, calibration, and what is confused with what."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from tasks.train.examples import log_loss

CONFIDENCE = 0.95
#: Bins of the top probability.
BINS = 15


class Interval(NamedTuple):
    """The bounds between which a share lies, each in [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True)
class LabelMetrics:
    """How well one label is told from the others.

    Args:
        label: The label.
        photos: How many photos have it.
        predicted: How many photos it was predicted for.
        correct: How many photos have it and were predicted to.
        precision: correct / predicted; None where it was never predicted.
        recall: correct / photos; None where no photo has it.
        f1: Harmonic mean of precision and recall, 2 correct / (photos + predicted); None where both are 0.
    """

    label: str
    photos: int
    predicted: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, eq=False)  # arrays have no single truth value, which a generated == would ask for
class Metrics:
    """How good predictions are.

    Args:
        photos: How many photos were predicted.
        correct: How many of them rightly.
        accuracy: correct / photos.
        interval: The 95 % Wilson interval of the accuracy.
        log_loss: Mean of -ln(probability of the true label), in nats.
        expected_calibration_error: See the function of this name.
        confusion: int64 [C, C], photos by true label (rows) and predicted label (columns), both in the labels' order.
        per_label: One entry a label, in the labels' order.
    """

    photos: int
    correct: int
    accuracy: float
    interval: Interval
    log_loss: float
    expected_calibration_error: float
    confusion: NDArray[np.int64]
    per_label: tuple[LabelMetrics, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values, ready for metrics.json; what is undefined is None, so null."""
        return {
            "photos": self.photos,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval": {**self.interval._asdict(), "confidence": CONFIDENCE},
            "log_loss": self.log_loss,
            "expected_calibration_error": self.expected_calibration_error,
            "labels": [entry.label for entry in self.per_label],
            "confusion": self.confusion.tolist(),
            "per_label": [asdict(entry) for entry in self.per_label],
        }


@dataclass(frozen=True)
class CrossValidation:
    """The accuracy over all photos, each predicted by a head that was not trained on it.

    Args:
        folds: Number of folds.
        accuracy: Share of the photos predicted rightly.
        interval: Its 95 % interval.
        log_loss: Mean of -ln(probability of the true label), in nats.
        expected_calibration_error: See the function of this name.
    """

    folds: int
    accuracy: float
    interval: Interval
    log_loss: float
    expected_calibration_error: float

    def to_json(self) -> dict[str, Any]:
        """Return plain Python values, ready for metrics.json."""
        return {**asdict(self), "interval": {**self.interval._asdict(), "confidence": CONFIDENCE}}


def wilson_interval(correct: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Bound the share of which `correct` out of `total` is a sample.

    Wilson's score interval (Wilson 1927, Probable inference, the law of succession, and statistical inference), which
    stays inside [0, 1] and keeps its coverage near 0 and 1, where the normal approximation loses it.

    Args:
        correct: How many succeeded, in [0, total].
        total: How many were tried, at least 1.
        confidence: How often such an interval holds the true share, in (0, 1).

    Raises:
        ValueError: The counts or the confidence are outside these bounds.
    """
    if total < 1:  # scipy raises or returns nan, depending on its version
        raise ValueError(f"a share of {total} trials has no interval: give 1 trial at least")
    bounds = binomtest(correct, total).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def bin_confidence(confidence: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Put top probabilities, float64 [N], into M bins, int [N]: bin m holds those in (m / M, (m + 1) / M]."""
    return np.digitize(confidence, np.arange(1, bins) / bins, right=True)


def expected_calibration_error(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32], bins: int = BINS
) -> float:
    """Measure how far the predicted probabilities are from the frequencies with which they come true.

    Guo et al. 2017, On calibration of modern neural networks, eq. 3: photos are put into bins by their top probability,
    and the bins' |accuracy - mean top probability| are averaged, weighted by their photos.

    Args:
        truth: int [N], index of the true label in [0, C).
        probabilities: float32 [N, C], in [0, 1], each row sums to 1; N at least 1.
        bins: Number M of bins of equal width; bin m holds the probabilities in ((m - 1) / M, m / M].

    Returns:
        The error in [0, 1]; 0 is perfect calibration.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    places = bin_confidence(confidence, bins)
    # A bin's weight n_m / N cancels the n_m of its means: what is left is the sum of its differences over N.
    gaps = np.bincount(places, weights=hit - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def measure(truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32], labels: Sequence[str]) -> Metrics:
    """Measure predictions against the truth.

    Args:
        truth: int [N], index of the true label in [0, C).
        probabilities: float32 [N, C], in [0, 1], each row sums to 1; the top one is what is predicted.
        labels: The C labels, at least 2, in the order of the columns. Not every label needs a photo.

    Raises:
        ValueError: There is no photo, or the shapes do not belong together.
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


def measure_crossed(folds: int, truth: NDArray[np.integer[Any]], probabilities: NDArray[np.float32]) -> CrossValidation:
    """Measure the predictions of a cross-validation in so many folds; arguments as of `measure`."""
    correct = int((probabilities.argmax(axis=1) == truth).sum())
    return CrossValidation(
        folds=folds,
        accuracy=correct / len(truth),
        interval=wilson_interval(correct, len(truth)),
        log_loss=log_loss(probabilities, truth),
        expected_calibration_error=expected_calibration_error(truth, probabilities),
    )


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
