"""The photos of the test split that exports are tested on: what the pipeline says of them, their files and pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.concurrency import map_ordered
from tasks.decode.photo_file import MAX_BYTES
from tasks.evaluate.predictions import label_indices, predictions_intact, probability_matrix, read_predictions
from tasks.file_types import JPEG, PNG, image_format
from tasks.paths import AnyPath
from tasks.shards.store import ShardStore
from tasks.snapshot.labels import to_label
from tasks.snapshot.photo_io import read_photo
from tasks.storage.remote_listing import StoreUnreachableError
from tasks.train.head import Floats

#: Of a larger test split, those with the smallest keys, which are as good as drawn: the night waits for every one.
MOST_PHOTOS = 500
#: Photos that are read at once: where they are on an object store, each waits for its answer.
_READ_AT_ONCE = 16
#: What an export can read.
_READABLE = (JPEG, PNG)


@dataclass(frozen=True, eq=False)
class KnownPhotos:
    """N photos of the test split, and what the pipeline says of them.

    Args:
        keys: Their sha256, N.
        paths: Their paths in the dataset, N.
        truth: int64 [N], each photo's place in `labels`.
        probabilities: float32 [N, C].
        labels: The labels, C.
    """

    keys: Sequence[str]
    paths: Sequence[str]
    truth: npt.NDArray[np.int64]
    probabilities: Floats
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: Sequence[int]) -> "KnownPhotos":
        """Some of the photos."""
        return KnownPhotos(
            [self.keys[place] for place in places],
            [self.paths[place] for place in places],
            self.truth[list(places)],
            self.probabilities[list(places)],
            self.labels,
        )

    def find(self, keys: Sequence[str]) -> "KnownPhotos":
        """The photos of some keys, in their order."""
        places = {key: place for place, key in enumerate(self.keys)}
        return self.take([places[key] for key in keys])


def read_known(evaluation: AnyPath, labels: tuple[str, ...], most: int = MOST_PHOTOS) -> KnownPhotos:
    """Read the test photos of an evaluation.

    Args:
        evaluation: Folder of the evaluation.
        labels: The labels, in the order of its probabilities.
        most: How many at most.

    Raises:
        DamagedError: The predictions are missing or damaged.
    """
    table = read_predictions(evaluation)
    table = table.filter(pc.equal(table["split"], "test")).sort_by("sha256").slice(0, most)
    with predictions_intact(evaluation):
        names = pa.chunked_array([pa.array(map(to_label, table["label"].to_pylist()), pa.string())])
        truth, probabilities = label_indices(names, labels), probability_matrix(table, len(labels))
    return KnownPhotos(table["sha256"].to_pylist(), table["path"].to_pylist(), truth, probabilities, labels)


#: Converts the files of photos to PNG: None for each that cannot be converted.
Convert = Callable[[KnownPhotos], Sequence[bytes | None]]


class PhotoFiles(NamedTuple):
    """Files that exports are shown.

    Args:
        photos: The photos that could be read, N.
        files: Their bytes, JPEG or PNG, N.
        left_out: How many photos were left out, by reason.
        converted: How many of the files were converted to PNG.
    """

    photos: KnownPhotos
    files: list[bytes]
    left_out: dict[str, int]
    converted: int


def read_files(photos: KnownPhotos, folder: AnyPath, convert: Convert | None = None) -> PhotoFiles:
    """Read the files of photos, as far as they are there as they were.

    Args:
        photos: The photos.
        folder: What their paths are relative to.
        convert: Converts photos of formats that no export reads to PNG, where it can; None leaves them out.
    """
    found: dict[int, bytes] = {}
    left_out = Counter[str]()
    others: list[int] = []
    try:
        for place, data in enumerate(map_ordered(partial(_read, folder), photos.paths, _READ_AT_ONCE)):
            reason = _left_out(data, photos.keys[place])
            if data is None or reason:
                left_out[reason] += 1
            elif image_format(data) in _READABLE:
                found[place] = data
            else:
                others.append(place)
    except StoreUnreachableError:
        # The run goes on without its source, as --on-missing-source has it.
        left_out["out of reach"] = len(photos) - left_out.total() - len(others) - len(found)
    converted = convert(photos.take(others)) if convert and others else [None] * len(others)
    found |= {place: file for place, file in zip(others, converted, strict=True) if file is not None}
    left_out["neither JPEG nor PNG"] = converted.count(None)
    places = sorted(found)
    files = [found[place] for place in places]
    return PhotoFiles(photos.take(places), files, dict(+left_out), len(others) - converted.count(None))


def _read(folder: AnyPath, path: str) -> bytes | None:
    try:
        return read_photo(folder / path, MAX_BYTES)
    except OSError:
        return None


def _left_out(data: bytes | None, key: str) -> str:
    """Say why a photo's file is left out; empty where it is the photo."""
    if data is None:
        return "gone"
    return "" if sha256(data).hexdigest() == key else "changed"


def read_pictures(photos: KnownPhotos, store: ShardStore) -> list[bytes]:
    """Read the encoded pictures of photos from the decoded store, in their order.

    Raises:
        StoreError: The store has lost some.
    """
    found: dict[str, bytes] = {}
    for rows in store.rows(pa.array(photos.keys, pa.string()), ["sha256", "image"]):
        images = rows.column("image").combine_chunks().field("bytes")
        found.update(zip(rows.column("sha256").to_pylist(), images.to_pylist(), strict=True))
    store.check(len(found), len(photos), "pictures")
    return [found[key] for key in photos.keys]
