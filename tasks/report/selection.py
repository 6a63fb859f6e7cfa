"""Which photos a report shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.report.predictions import Predicted

SAMPLES_PER_LABEL = 8
MOST_SAMPLES = 400
#: Mistakes, uncertain photos, new photos, conflicts and duplicates: of each so many have a picture.
MOST_SHOWN = 24


@dataclass(frozen=True, eq=False)
class PhotoSelection:
    """Places of the photos that a report shows.

    Args:
        samples: Some of each label.
        mistakes: Those of the test split that are predicted wrongly, the most confident first.
        uncertain: Those of the test split whose two largest probabilities lie nearest to each other, the nearest first.
        added: Some of those that are new.
        points: Those on the map, rising; empty where there is none.
    """

    samples: Sequence[int]
    mistakes: Sequence[int]
    uncertain: Sequence[int]
    added: Sequence[int]
    points: Sequence[int]

    def all(self) -> set[int]:
        """Every place."""
        return {*self.samples, *self.mistakes, *self.uncertain, *self.added, *self.points}


def choose_photos(predicted: Predicted, added: Collection[str], *, points: int) -> PhotoSelection:
    """Choose what a report shows. Where any would do, it is the first by hash: as good as drawn.

    Args:
        predicted: All photos.
        added: Keys of those that are new.
        points: How many go on the map at most.
    """
    keys, new = predicted.photos.sha256, set(added)
    first, second = -np.partition(-predicted.probabilities, 1, axis=1)[:, :2].T
    return PhotoSelection(
        samples=_samples(predicted),
        mistakes=_first(predicted.mistaken, -first),
        uncertain=_first(predicted.photos.of("test"), first - second),
        added=[place for place, key in enumerate(keys) if key in new][:MOST_SHOWN],
        points=_points(predicted, points),
    )


def _samples(predicted: Predicted) -> list[int]:
    """Some photos of each label, fewer where there are many labels."""
    photos = predicted.photos
    each = max(1, min(SAMPLES_PER_LABEL, MOST_SAMPLES // len(photos.labels)))
    labels = range(min(len(photos.labels), MOST_SAMPLES))
    return [int(place) for label in labels for place in np.flatnonzero(photos.truth == label)[:each]]


def _first(which: npt.NDArray[np.bool_], order: npt.NDArray[np.float32]) -> list[int]:
    places = np.flatnonzero(which)
    return [int(place) for place in places[np.argsort(order[places], kind="stable")][:MOST_SHOWN]]


def _points(predicted: Predicted, most: int) -> list[int]:
    """Mistakes of the test split, then others of it, then any: what lies together in the stores, where there are many.

    Mistakes get half of the map at most: it is to show what they lie among.
    """
    test, mistaken = predicted.photos.of("test"), predicted.mistaken
    first = np.flatnonzero(mistaken)[: most // 2]
    others = np.concatenate([np.flatnonzero(test & ~mistaken), np.flatnonzero(~test)])
    return [int(place) for place in np.sort(np.concatenate([first, others[: most - len(first)]]))]
