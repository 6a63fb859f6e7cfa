"""Photos with drawn bottlenecks and predictions, for the tests of evaluation."""

import numpy as np
import numpy.typing as npt

from tasks.snapshot.splits import assign_splits
from tasks.train.examples import Examples
from tasks.train.photos import EmbeddedPhotos
from tests.bottleneck.pictures import key_of
from tests.train.examples import read

Probabilities = npt.NDArray[np.float32]


def photos_of(examples: Examples, labels: tuple[str, ...]) -> EmbeddedPhotos:
    """Make photos of bottlenecks: the photo of number n has the key of n and the path <label>/<n>.jpg."""
    numbers = sorted(range(len(examples.labels)), key=key_of)
    truth = examples.labels[numbers]
    keys, names = [key_of(number) for number in numbers], [labels[label] for label in truth]
    paths = [f"{name}/{number}.jpg" for name, number in zip(names, numbers, strict=True)]
    return EmbeddedPhotos(keys, paths, labels, truth, assign_splits(keys, names), read(examples.vectors)[numbers])


def draw_probabilities(photos: int, labels: int, seed: int = 0) -> Probabilities:
    """Draw probabilities: float32 [N, C], each row sums to 1."""
    return np.random.default_rng(seed).dirichlet([1.0] * labels, photos).astype(np.float32)
