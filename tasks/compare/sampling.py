"""Draws the training photos of a cell."""

import numpy as np
import numpy.typing as npt

from tasks.compare.settings import ALL
from tasks.train.photos import LabelledPhotos


def sample_training(photos: LabelledPhotos, photos_per_label: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw as many photos of each label from the training split.

    More photos of the same seed hold the fewer ones: what a larger cell adds are photos, and not other ones.

    Args:
        photos: N photos.
        photos_per_label: How many; a label that has fewer gives all, and 0 takes all of every label.
        seed: Of the draw.

    Returns:
        Places of the photos, int64, ascending.
    """
    training = photos.of("train")
    chosen = []
    for label in range(len(photos.labels)):
        places = np.flatnonzero(training & (photos.truth == label))
        drawn = np.random.default_rng((seed, label)).permutation(places)
        chosen.append(drawn if photos_per_label == ALL else drawn[:photos_per_label])
    return np.sort(np.concatenate(chosen))
