"""The pictures that a whole network is trained on and predicts: any of them at any time, few of them in memory."""

import itertools
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.views import Pixels
from tasks.concurrency import prefetch
from tasks.decode.images import read_pixels
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.hardware import available_cores
from tasks.storage.layout import DataRoot
from tasks.storage.tempfiles import open_scratch
from tasks.train.photos import LabelledPhotos

BATCHES_AHEAD = 3

Integers = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Some pictures.

    Args:
        pixels: uint8 [B, S, S, 3], RGB, 0 to 255.
        labels: int64 [B], each a place in the list of labels.
    """

    pixels: Pixels
    labels: Integers


class Shown(NamedTuple):
    """How a picture is shown.

    Args:
        place: Which photo's it is.
        mirrored: Whether left and right are swapped.
    """

    place: int
    mirrored: bool


@dataclass(frozen=True, eq=False)
class Pictures:
    """The encoded pictures of N photos, in a file without a name; see `open_pictures`.

    Args:
        keys: The photos' sha256, N.
        labels: int64 [N], each a place in the list of labels.
        extents: Where in the file each picture starts and how long it is, in bytes: int64 [N, 2].
        file: Descriptor of the file.
    """

    keys: list[str]
    labels: Integers
    extents: Integers
    file: int

    def __len__(self) -> int:
        return len(self.keys)

    def in_order(self, batch_size: int) -> Generator[Batch, None, None]:
        """Read all pictures in batches, the last one smaller, some of them ahead."""
        shown = [Shown(place, mirrored=False) for place in range(len(self))]
        return self._read(shown[start : start + batch_size] for start in range(0, len(self), batch_size))

    def shuffled(self, batch_size: int, seed: int, first: int = 0) -> Generator[Batch, None, None]:
        """Read pictures for training without end, in full batches, some of them ahead.

        The photos stand in one row, pass after pass, each pass in an order of its own; a batch takes the next of them,
        so it may end one pass and begin another. Half the photos are mirrored.

        Args:
            batch_size: Photos in a batch.
            seed: Of the order, and of which photos are mirrored.
            first: The batch to begin with: a training that goes on has seen those before it.
        """
        return self._read(self._shuffled(batch_size, seed, first))

    def _shuffled(self, batch_size: int, seed: int, first: int) -> Iterator[list[Shown]]:
        done, begun = divmod(first * batch_size, len(self))
        passes = (self._pass(seed, number) for number in itertools.count(done))
        row = itertools.islice(itertools.chain.from_iterable(passes), begun, None)
        while True:
            yield list(itertools.islice(row, batch_size))

    def _pass(self, seed: int, number: int) -> Iterator[Shown]:
        """Draw one pass; whether a photo is mirrored in it depends on no other photo."""
        for place in np.random.default_rng((seed, number)).permutation(len(self)).tolist():
            drawn = np.random.default_rng((seed, number, int(self.keys[place], 16))).random()
            yield Shown(place, mirrored=bool(drawn < 0.5))

    def _read(self, batches: Iterator[list[Shown]]) -> Generator[Batch, None, None]:
        with ThreadPoolExecutor(available_cores()) as pool:

            def decode(batch: list[Shown]) -> Batch:
                labels = self.labels[[shown.place for shown in batch]]
                return Batch(np.stack(list(pool.map(self._show, batch))), labels)

            yield from prefetch(map(decode, batches), BATCHES_AHEAD)

    def _show(self, shown: Shown) -> Pixels:
        """Decode a picture: uint8 [S, S, 3]."""
        start, length = self.extents[shown.place].tolist()
        pixels = read_pixels(os.pread(self.file, length, start))
        return pixels[:, ::-1] if shown.mirrored else pixels


@contextmanager
def open_pictures(
    photos: LabelledPhotos, which: npt.NDArray[np.bool_], decode: DecodeSettings, root: DataRoot
) -> Iterator[Pictures]:
    """Make the pictures of some photos readable in any order, for as long as the block lasts.

    A decoded store is read from its beginning to its end. Training wants photos at random, so their encoded pictures
    are copied into one file below the data root, or in scratch where that is on an object store: 50 kB each at 224
    pixels, 5 GB for 100,000 photos. What of it is in memory is the system's page cache. The file has no name, so it
    vanishes with its process, however that ends.

    Args:
        photos: N photos.
        which: Those wanted, bool [N]; the pictures are in their order.
        decode: Which pictures.
        root: Where the stores are.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
    """
    keys = [photos.sha256[place] for place in np.flatnonzero(which)]
    place_of = {key: place for place, key in enumerate(keys)}
    extents = np.zeros((len(keys), 2), np.int64)
    store = open_stores(root, decode).decoded
    with BufferedRandom(open_scratch(root.storage.scratch_for(root.path), 0)) as file:
        for rows in store.rows(pa.array(keys, pa.string()), ["sha256", "image"]):
            images = rows.column("image").combine_chunks().field("bytes")
            for key, image in zip(rows.column("sha256").to_pylist(), images, strict=True):
                extents[place_of[key]] = file.tell(), file.write(image.as_buffer())
        file.flush()
        store.check(int((extents[:, 1] > 0).sum()), len(keys), "pictures")
        yield Pictures(keys, photos.truth[which], extents, file.fileno())
