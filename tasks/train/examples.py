"""What a head is trained on, who looks on, and how it did."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.train.vectors import Vectors, choose

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """Bottlenecks of photos and what they show.

    Args:
        vectors: float32 [N, V, D], in memory or on disk.
        labels: int64 [N], each a place in the list of labels.
    """

    vectors: Vectors
    labels: npt.NDArray[np.int64]

    def take(self, which: npt.NDArray[np.bool_], views: slice = slice(None)) -> "Examples":
        """Those photos for which `which`, bool [N], is true, and those of their views."""
        return Examples(choose(self.vectors, which, views), self.labels[which])


@dataclass(frozen=True)
class Lesson:
    """What a head is trained on, and what it is measured on meanwhile.

    Args:
        train: The training photos, with the views that train.
        validation: The validation photos, with the views that predict.
        labels: The labels in order; C of them.
    """

    train: Examples
    validation: Examples
    labels: tuple[str, ...]


class Mark(NamedTuple):
    """How predictions did: the share that is right, and the mean negative log of the right label's probability."""

    accuracy: float
    log_loss: float


class Answers:
    """What is kept of predictions until all of them are there to be measured.

    Args:
        labels: The right labels, int64 [N].
    """

    def __init__(self, labels: npt.NDArray[np.int64]) -> None:
        self._labels = labels
        self._hit = np.empty(len(labels), bool)
        self._right = np.empty(len(labels), np.float32)

    def add(self, photos: slice, probabilities: Floats) -> None:
        """Take the predictions of some photos: float32 [n, C]."""
        labels = self._labels[photos]
        self._hit[photos] = probabilities.argmax(axis=1) == labels
        self._right[photos] = probabilities[np.arange(len(labels)), labels]

    def mark(self) -> Mark:
        """Measure them."""
        log_loss = -np.log(np.maximum(self._right, np.finfo(np.float32).tiny)).mean()
        return Mark(float(self._hit.mean()), float(log_loss))


def mark(probabilities: Floats, labels: npt.NDArray[np.int64]) -> Mark:
    """Measure predictions, float32 [N, C], against the labels, int64 [N]."""
    answers = Answers(labels)
    answers.add(slice(len(labels)), probabilities)
    return answers.mark()


@dataclass(frozen=True)
class Choice:
    """How one strength of weight decay did on the validation split.

    Args:
        l2: The strength; 0 where a recipe has none.
        accuracy: Share of validation photos that are right.
        log_loss: Mean negative log of the probability given to the right label.
    """

    l2: float
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class Watch:
    """Who looks on while a head is trained.

    Args:
        progress: Told of every epoch or step.
        checkpoints: Folder of the checkpoints, from which an interrupted training goes on; None writes none.
    """

    progress: Progress
    checkpoints: AnyPath | None = None
