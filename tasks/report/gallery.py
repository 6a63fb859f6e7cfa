"""Photos section: which photos the report shows, and their pictures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.decode.images import Picture
from tasks.decode.photo_file import Photo, decode_file
from tasks.decode.photos import open_stores, read_pictures
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import work_on_photos
from tasks.errors import StoreError
from tasks.evaluate.predictions import PredictedPhotos
from tasks.paths import AnyPath
from tasks.report.dataset import RepeatedPhoto
from tasks.report.reported_run import ReportedRun
from tasks.storage.layout import DataRoot

SAMPLES_PER_LABEL = 8
MAX_SAMPLES = 400
#: Pictures of mistakes, uncertain photos, new photos, conflicts and duplicates: of each at most so many.
MAX_SHOWN = 24


class ShownPhoto(NamedTuple):
    """A photo that the report shows: path in the dataset, label, and its upright picture, a JPEG or PNG file."""

    path: str
    label: str
    image: bytes


class Guess(NamedTuple):
    """A photo with its two most probable labels."""

    photo: ShownPhoto  #: The photo with its true label.
    predicted: str  #: The most probable label.
    probability: float  #: Its probability, in [0, 1].
    runner_up: str  #: The second most probable label.
    runner_up_probability: float  #: Its probability, in [0, 1].


class PhotoSelection(NamedTuple):
    """Indices of the photos that a report shows."""

    samples: Sequence[int]  #: Some photos of each label.
    mistakes: Sequence[int]  #: Mistakes of the test split, the most confident first.
    uncertain: Sequence[int]  #: Photos of the test split, those with the smallest lead of the predicted label first.
    added: Sequence[int]  #: Some of the new photos.
    map_points: Sequence[int]  #: Photos on the map, rising; empty without a map.
    issues: Sequence[int] = ()  #: Photos whose labels look wrong.
    near_duplicates: Sequence[int] = ()  #: Photos of the groups that are shown.


def select_photos(predicted: PredictedPhotos, added: Collection[str], *, map_points: int) -> PhotoSelection:
    """Select the photos that a report shows. Where any would do, they are the first by hash, as good as random.

    Args:
        predicted: All photos, with their predictions.
        added: Keys of the new photos.
        map_points: Number of photos on the map; 0 without a map.
    """
    new = set(added)
    first, second = -np.partition(-predicted.probabilities, 1, axis=1)[:, :2].T
    return PhotoSelection(
        samples=_select_samples(predicted),
        mistakes=_first(predicted.mistakes, -first),
        uncertain=_first(predicted.photos.of("test"), first - second),
        added=[index for index, key in enumerate(predicted.photos.sha256) if key in new][:MAX_SHOWN],
        map_points=_select_map_points(predicted, map_points),
    )


def _select_samples(predicted: PredictedPhotos) -> list[int]:
    photos = predicted.photos
    each = max(1, min(SAMPLES_PER_LABEL, MAX_SAMPLES // len(photos.labels)))
    labels = range(min(len(photos.labels), MAX_SAMPLES))
    return [int(index) for label in labels for index in np.flatnonzero(photos.truth == label)[:each]]


def _first(chosen: npt.NDArray[np.bool_], order: npt.NDArray[np.float32]) -> list[int]:
    indices = np.flatnonzero(chosen)
    return [int(index) for index in indices[np.argsort(order[indices], kind="stable")][:MAX_SHOWN]]


def _select_map_points(predicted: PredictedPhotos, most: int) -> list[int]:
    """Select mistakes for at most half of the map, so that their surroundings show; then test photos, then others."""
    test, mistakes = predicted.photos.of("test"), predicted.mistakes
    first = np.flatnonzero(mistakes)[: most // 2]
    others = np.concatenate([np.flatnonzero(test & ~mistakes), np.flatnonzero(~test)])
    return [int(index) for index in np.sort(np.concatenate([first, others[: most - len(first)]]))]


@dataclass(frozen=True, eq=False)
class Gallery:
    """Photos, their predictions, and the pictures of those that are shown."""

    predicted: PredictedPhotos  #: All photos.
    images: Mapping[str, bytes]  #: JPEG or PNG files by key: of the selected photos, and of others.

    def show(self, indices: Sequence[int]) -> list[ShownPhoto]:
        """Return the photos of some indices."""
        photos = self.predicted.photos
        return [
            ShownPhoto(photos.paths[index], photos.labels[photos.truth[index]], self.images[photos.sha256[index]])
            for index in indices
        ]

    def show_guesses(self, indices: Sequence[int]) -> list[Guess]:
        """Return the photos of some indices, each with its two most probable labels."""
        labels, guesses = self.predicted.photos.labels, []
        for photo, probabilities in zip(self.show(indices), self.predicted.probabilities[list(indices)], strict=True):
            # Stable, since the first of equal probabilities counts as predicted.
            first, second = np.argsort(-probabilities, kind="stable")[:2]
            top = probabilities[[first, second]].tolist()
            guesses.append(Guess(photo, labels[first], top[0], labels[second], top[1]))
        return guesses


def fill_gallery(
    predicted: PredictedPhotos, selection: PhotoSelection, others: Collection[str], run: ReportedRun, root: DataRoot
) -> Gallery:
    """Read the stored pictures of all photos that are shown: of the selected ones, and of others that have one.

    Raises:
        StoreError: The decoded store has lost pictures, or a shard is damaged.
    """
    # Of several ways to decode, pictures are as the first backbone sees them.
    decode = run.settings.train.decodes[0]
    keys = {predicted.photos.sha256[index] for index in chain(*selection)}
    images = read_pictures(open_stores(root, decode).decoded, keys.union(others))
    if lost := len(keys - images.keys()):
        raise StoreError(
            f"The store {root.decode(decode.key)} has lost {lost:,} of {len(keys):,} pictures for the report. "
            "Delete its folder manifests; the next run makes again what is missing."
        )
    return Gallery(predicted, images)


def decode_repeated(photos: Sequence[RepeatedPhoto], folder: AnyPath, decode: DecodeSettings) -> dict[str, bytes]:
    """Decode repeated photos from files of a dataset's folder by key, without those that are unreadable or changed."""
    files = [Photo(photo.sha256, photo.paths[0].path) for photo in photos]
    results = chain.from_iterable(work_on_photos(partial(decode_file, settings=decode), files, folder, 1))
    return {each.photo.sha256: each.result.image for each in results if isinstance(each.result, Picture)}
