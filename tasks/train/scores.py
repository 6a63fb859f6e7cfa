"""Scores of predictions, and the temperature that calibrates them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.train.head import Floats, Head, probabilities

_TEMPERATURES = (0.05, 1000.0)
#: Relative tolerance of the temperature.
_TOLERANCE = 1e-3
_GOLDEN = (5**0.5 - 1) / 2
#: Weight of a photo whose label the scores tell nothing about: without it, a few photos that are all predicted rightly
#: would ask for probabilities of 1.
_UNKNOWN = 0.1


class Score(NamedTuple):
    """Score of predictions."""

    accuracy: float  #: Share of the photos that are predicted rightly.
    log_loss: float  #: Mean of -ln(probability of the true label), in nats.

    @classmethod
    def of(cls, predicted: Floats, labels: npt.NDArray[np.integer[Any]]) -> "Score":
        """Score probabilities, float32 [N, C], by the labels, int [N]."""
        return cls(float((predicted.argmax(axis=1) == labels).mean()), log_loss(predicted, labels))


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs of a head, and the labels."""

    values: Floats  #: float32 [N, V, D].
    labels: npt.NDArray[np.int64]  #: int64 [N], indices into the list of labels.

    def score(self, head: Head) -> Score:
        """Score the predictions of a head."""
        return Score.of(head.probabilities(self.values), self.labels)


def log_loss(predicted: Floats, labels: npt.NDArray[np.integer[Any]]) -> float:
    """Compute the mean of -ln(probability of the true label); the arguments are those of `Score.of`."""
    true = np.maximum(predicted[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    return float(-np.log(true).mean(dtype=np.float64))


def fit_temperature(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature that scores are divided by for the least log loss.

    Temperature scaling: Guo et al. 2017, On calibration of modern neural networks, https://arxiv.org/abs/1706.04599.

    Args:
        scores: float32 [N, V, C], scores before the softmax of photos that the head was not trained on, N at least 1.
        labels: int64 [N], indices of their labels.
    """

    def loss(logarithm: float) -> float:
        predicted = np.maximum(probabilities(scores / np.float32(np.exp(logarithm))), np.finfo(np.float32).tiny)
        true = np.log(predicted[np.arange(len(labels)), labels]).sum(dtype=np.float64)
        unknown = np.log(predicted).mean(dtype=np.float64)
        return float(-(true + _UNKNOWN * unknown))

    # The loss falls, then rises: golden sections find its minimum, and the import of scipy.optimize takes 0.1 s.
    low, high = np.log(_TEMPERATURES).tolist()
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > _TOLERANCE:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))
