"""The test photos of an export: the pipeline's predictions of them, their files and their pictures."""

import io
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import islice, zip_longest
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.decode.colour import has_other_colours
from tasks.decode.images import Picture, read_orientation, read_pixels
from tasks.decode.photo_file import MAX_BYTES, Photo, decode_file
from tasks.decode.photos import open_stores, read_pictures
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import work_on_photos
from tasks.evaluate.predictions import (
    OWN_COLUMNS,
    label_indices,
    predictions_intact,
    probability_matrix,
    read_predictions,
)
from tasks.file_types import JPEG, PNG, image_format
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.snapshot.labels import to_label
from tasks.snapshot.parquet.row_paths import reading_order
from tasks.snapshot.parquet.row_reader import PhotoReader, open_reader
from tasks.storage.layout import DataRoot
from tasks.storage.remote_listing import StoreUnreachableError
from tasks.train.head import Floats

#: A larger test split costs time. The photos with the smallest keys are a random sample of it.
MAX_PHOTOS = 500
#: Formats of photos that an export can read.
_READABLE = (JPEG, PNG)
#: Size of converted photos relative to the export's own pixels, so that it has to resize them like other files.
_SCALE = 2


@dataclass(frozen=True, eq=False)
class ReferencePhotos:
    """N photos of the test split with the pipeline's predictions."""

    keys: Sequence[str]  #: Their sha256, N.
    paths: Sequence[str]  #: Their paths in the dataset, N.
    truth: npt.NDArray[np.int64]  #: int64 [N], the index of each photo's label in `labels`.
    probabilities: Floats  #: The pipeline's predictions, float32 [N, C].
    labels: tuple[str, ...]  #: The labels, C.

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, indices: Sequence[int]) -> "ReferencePhotos":
        """Return the photos with these indices."""
        return replace(
            self,
            keys=[self.keys[index] for index in indices],
            paths=[self.paths[index] for index in indices],
            truth=self.truth[list(indices)],
            probabilities=self.probabilities[list(indices)],
        )

    def select(self, keys: Container[str]) -> "ReferencePhotos":
        """Return the photos whose keys are among these, in their own order."""
        return self.take([index for index, key in enumerate(self.keys) if key in keys])

    def find(self, keys: Sequence[str]) -> "ReferencePhotos":
        """Return the photos with these keys, in their order."""
        indices = {key: index for index, key in enumerate(self.keys)}
        return self.take([indices[key] for key in keys])


def read_reference(evaluation: AnyPath, labels: tuple[str, ...], limit: int = MAX_PHOTOS) -> ReferencePhotos:
    """Read the test photos of an evaluation: of more than `limit`, those with the smallest keys.

    Args:
        evaluation: Folder of the evaluation.
        labels: The labels in the order of its probabilities.
        limit: Number of photos at most.

    Raises:
        DamagedError: The predictions are missing or damaged.
    """
    table = read_predictions(evaluation, OWN_COLUMNS)
    table = table.filter(pc.equal(table["split"], "test")).sort_by("sha256").slice(0, limit)
    with predictions_intact(evaluation):
        names = pa.chunked_array([pa.array(map(to_label, table["label"].to_pylist()), pa.string())])
        truth, probabilities = label_indices(names, labels), probability_matrix(table, len(labels))
    return ReferencePhotos(table["sha256"].to_pylist(), table["path"].to_pylist(), truth, probabilities, labels)


#: Converts the files of photos to PNG: None for each that cannot be converted.
Convert = Callable[[ReferencePhotos], Sequence[bytes | None]]


class PhotoFiles(NamedTuple):
    """The files that exports are tested on."""

    photos: ReferencePhotos  #: The photos that could be read, N.
    files: list[bytes]  #: Their bytes, JPEG or PNG, N.
    kinds: dict[str, str]  #: Kinds of their own files, by their keys; see `kind_of_file`.
    left_out: dict[str, int]  #: Number of photos that were left out, by reason.
    converted: int  #: Number of files that were converted to PNG.


@dataclass(frozen=True)
class StoredPictures:
    """The pictures of photos in the decoded stores."""

    root: DataRoot
    decodes: Sequence[DecodeSettings]  #: The ways in which they were decoded.

    def read(self, keys: Sequence[str], decode: DecodeSettings) -> Pixels:
        """Read the pictures of N photos: uint8 [N, S, S, 3].

        Raises:
            StoreError: The store has lost some of them, or is damaged.
        """
        store = open_stores(self.root, decode).decoded
        pictures = read_pictures(store, keys)
        store.check(len(pictures), len(keys), "pictures")
        return np.stack([read_pixels(pictures[key]) for key in keys])


def choose_sample(photos: ReferencePhotos, count: int) -> ReferencePhotos:
    """Choose at most `count` photos, in turn one of each label."""
    by_label = [np.flatnonzero(photos.truth == label).tolist() for label in range(len(photos.labels))]
    turns = (index for turn in zip_longest(*by_label) for index in turn if index is not None)
    return photos.take(sorted(islice(turns, count)))


def read_kinds(photos: ReferencePhotos, folder: AnyPath) -> dict[str, str]:
    """Read the kind of file of photos in a folder, by the photos' keys, without those that cannot be read."""
    kinds = {}
    try:
        for index, data in _read_all(photos, folder):
            if data is not None:
                kinds[photos.keys[index]] = kind_of_file(data)
    except StoreUnreachableError:
        pass
    return kinds


def kind_of_file(data: bytes) -> str:
    """Describe all of a photo's file that makes programs decode it in different ways.

    Returns:
        Format and mode, such as `JPEG RGB`, and `profile` and `turned` where colours or orientation are not the plain
        ones.
    """
    try:
        with Image.open(io.BytesIO(data)) as photo:
            flags = {", profile": has_other_colours(photo), ", turned": read_orientation(photo) != 1}
            return f"{photo.format} {photo.mode}" + "".join(flag for flag, is_set in flags.items() if is_set)
    except Exception:  # noqa: BLE001 (Pillow raises almost anything on damaged files)
        return "unreadable"


def read_files(photos: ReferencePhotos, folder: AnyPath, convert: Convert | None = None) -> PhotoFiles:
    """Read the files of photos in a folder that exist and have not changed.

    `convert` converts photos of formats that no export reads to PNG; None leaves them out.
    """
    found: dict[int, bytes] = {}
    left_out = Counter[str]()
    kinds: dict[str, str] = {}
    others: list[int] = []
    try:
        for index, data in _read_all(photos, folder):
            if data is None:
                left_out["gone"] += 1
                continue
            if sha256(data).hexdigest() != photos.keys[index]:
                left_out["changed"] += 1
                continue
            kinds[photos.keys[index]] = kind_of_file(data)
            if image_format(data) in _READABLE:
                found[index] = data
            else:
                others.append(index)
    except StoreUnreachableError:
        # With --on-missing-source, the run continues without its source.
        left_out["out of reach"] = len(photos) - left_out.total() - len(others) - len(found)
    converted = convert(photos.take(others)) if convert and others else [None] * len(others)
    found |= {index: file for index, file in zip(others, converted, strict=True) if file is not None}
    left_out["neither JPEG nor PNG"] = converted.count(None)
    indices = sorted(found)
    known, files = photos.take(indices), [found[index] for index in indices]
    own_kinds = {key: kinds[key] for key in known.keys}
    return PhotoFiles(known, files, own_kinds, dict(+left_out), len(others) - converted.count(None))


def _read_all(photos: ReferencePhotos, folder: AnyPath) -> Iterator[tuple[int, bytes | None]]:
    """Read the photos with their indices, those of Parquet files in the order of their rows."""
    order = sorted(range(len(photos)), key=lambda index: reading_order(photos.paths[index]))
    with open_reader(folder, photos.paths) as reader:
        read = partial(_read, reader)
        yield from zip(order, map_ordered(read, [photos.paths[index] for index in order], reader.threads), strict=True)


def _read(reader: PhotoReader, path: str) -> bytes | None:
    try:
        return reader.read(path, MAX_BYTES)
    except OSError:
        return None


def convert_to_png(
    photos: ReferencePhotos, folder: AnyPath, decode: DecodeSettings, max_pixels: int
) -> list[bytes | None]:
    """Convert photos to PNG, in other processes: upright, in sRGB, cropped to the square that contains the export's.

    The result has None for a photo that cannot be decoded.

    Raises:
        MachineError: The object store cannot be reached, or processes die before they get any work.
    """
    # With crop "centre", an export takes size / resize of a photo's short side; here, of the whole centred square.
    side = _SCALE * max(decode.size, decode.resize)
    work = partial(decode_file, settings=replace(decode, size=side, resize=side, encoding="png"), max_pixels=max_pixels)
    wanted = [Photo(key, path) for key, path in zip(photos.keys, photos.paths, strict=True)]
    with closing(work_on_photos(work, wanted, folder, available_cores())) as batches:
        results = [decoded.result for batch in batches for decoded in batch]
    return [result.image if isinstance(result, Picture) else None for result in results]
