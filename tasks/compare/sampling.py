"""Draws the training photos of a cell."""

import numpy as np
import numpy.typing as npt

from tasks.compare.settings import ALL
from tasks.train.photos import LabelledPhotos


def sample_training(photos: LabelledPhotos, photos_per_label: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw the same number of photos of each label from the training split; a label with fewer gives all.

    A larger draw of the same seed contains the smaller ones, so that a larger cell only adds photos.

    Returns:
        Indices of the photos, int64, ascending.
    """
    training, drawn = photos.of("train"), []
    for label in range(len(photos.labels)):
        indices = np.flatnonzero(training & (photos.truth == label))
        shuffled = np.random.default_rng((seed, label)).permutation(indices)
        drawn.append(shuffled if photos_per_label == ALL else shuffled[:photos_per_label])
    return np.sort(np.concatenate(drawn))
