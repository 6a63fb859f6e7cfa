"""What a head is trained on, who looks on, and how it did."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.paths import AnyPath
from tasks.progress import Progress

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Examples:
    """What a head takes of photos, and what the photos show.

    Args:
        values: float32 [N, V, D].
        labels: int64 [N], each a place in the list of labels.
    """

    values: Floats
    labels: npt.NDArray[np.int64]


class Score(NamedTuple):
    """How predictions did: the share that is right, and the mean negative log of the right label's probability."""

    accuracy: float
    log_loss: float


def mark(probabilities: Floats, labels: npt.NDArray[np.integer[Any]]) -> Score:
    """Measure predictions, float32 [N, C], against the labels, int [N]."""
    hits = probabilities.argmax(axis=1) == labels
    return Score(float(hits.mean()), log_loss(probabilities, labels))


def log_loss(probabilities: Floats, labels: npt.NDArray[np.integer[Any]]) -> float:
    """The mean negative log of the probability of the right label, in nats; arguments as of `mark`."""
    right = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    return float(-np.log(right).mean(dtype=np.float64))


@dataclass(frozen=True)
class LeftOutScore:
    """How one way to solve for a head did on photos that were left out one at a time.

    Args:
        shrinkage: What was added to the variance within labels.
        layer_weight: Weight of the layers before the last one.
        temperature: What its scores were divided by.
        accuracy: Share of these photos that are right; 0 where there was none.
        log_loss: Mean negative log of the probability given to the right label; 0 where there was none.
    """

    shrinkage: float
    layer_weight: float
    temperature: float
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class TrainingContext:
    """Who looks on while a head is trained.

    Args:
        progress: Told of every epoch or step.
        checkpoints: Folder of the checkpoints, from which an interrupted training goes on; None writes none.
    """

    progress: Progress
    checkpoints: AnyPath | None = None
