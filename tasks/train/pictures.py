"""Pictures for training and predicting with a whole network: in any order, few of them in memory."""

import itertools
import os
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
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
from tasks.storage.tempfiles import TEMPORARY_PREFIX
from tasks.train.photos import LabelledPhotos

BATCHES_AHEAD = 3

Integers = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """A batch of pictures."""

    pixels: Pixels  #: uint8 [B, S, S, 3], RGB, 0 to 255.
    labels: Integers  #: int64 [B], indices into the list of labels.


class _Sample(NamedTuple):
    """A picture of a batch."""

    photo: int  #: Index of the photo.
    mirrored: bool  #: Whether left and right are swapped.


@dataclass(frozen=True, eq=False)
class Pictures:
    """The encoded pictures of N photos, in a file without a name; see `open_pictures`."""

    keys: list[str]  #: The photos' sha256, N.
    labels: Integers  #: int64 [N], indices into the list of labels.
    extents: Integers  #: Start and length in bytes of each picture in the file: int64 [N, 2].
    file: int  #: Descriptor of the file.

    def __len__(self) -> int:
        return len(self.keys)

    def in_order(self, batch_size: int) -> Generator[Batch, None, None]:
        """Read all pictures in batches, the last one smaller, some of them ahead."""
        samples = [_Sample(index, mirrored=False) for index in range(len(self))]
        return self._read(samples[start : start + batch_size] for start in range(0, len(self), batch_size))

    def shuffled(self, batch_size: int, seed: int, first: int = 0) -> Generator[Batch, None, None]:
        """Read pictures for training without end, in full batches, some of them ahead.

        Pass follows pass, each in its own order; a batch may end one pass and begin another. Half the photos are
        mirrored. The seed is that of the orders and of the mirroring. A training that resumes has seen the batches
        before the `first` one.
        """
        return self._read(self._shuffled(batch_size, seed, first))

    def _shuffled(self, batch_size: int, seed: int, first: int) -> Iterator[list[_Sample]]:
        done, begun = divmod(first * batch_size, len(self))
        passes = (self._pass(seed, number) for number in itertools.count(done))
        samples = itertools.islice(itertools.chain.from_iterable(passes), begun, None)
        while True:
            yield list(itertools.islice(samples, batch_size))

    def _pass(self, seed: int, number: int) -> Iterator[_Sample]:
        """Draw one pass; a photo's mirroring depends on no other photo."""
        for index in np.random.default_rng((seed, number)).permutation(len(self)).tolist():
            drawn = np.random.default_rng((seed, number, int(self.keys[index], 16))).random()
            yield _Sample(index, mirrored=bool(drawn < 0.5))

    def _read(self, batches: Iterator[list[_Sample]]) -> Generator[Batch, None, None]:
        with ThreadPoolExecutor(available_cores()) as pool:

            def decode(samples: list[_Sample]) -> Batch:
                labels = self.labels[[sample.photo for sample in samples]]
                return Batch(np.stack(list(pool.map(self._decode, samples))), labels)

            yield from prefetch(map(decode, batches), BATCHES_AHEAD)

    def _decode(self, sample: _Sample) -> Pixels:
        """Decode a picture: uint8 [S, S, 3]."""
        start, length = self.extents[sample.photo].tolist()
        pixels = read_pixels(os.pread(self.file, length, start))
        return pixels[:, ::-1] if sample.mirrored else pixels


@contextmanager
def open_pictures(
    photos: LabelledPhotos, selected: npt.NDArray[np.bool_], decode: DecodeSettings, root: DataRoot
) -> Iterator[Pictures]:
    """Make the pictures of selected photos, bool [N], readable in any order, for as long as the block lasts.

    A decoded store is read from its beginning to its end. Training reads photos at random, so their encoded pictures
    are copied into one file below the data root, or in scratch where that is on an object store: 50 kB each at 224
    pixels, 5 GB for 100,000 photos, cached by the system's page cache. The file has no name, so it vanishes with its
    process, however that ends.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
    """
    keys = [photos.sha256[index] for index in np.flatnonzero(selected)]
    index_of = {key: index for index, key in enumerate(keys)}
    extents = np.zeros((len(keys), 2), np.int64)
    store = open_stores(root, decode).decoded
    with TemporaryFile(dir=root.storage.scratch_for(root.path), prefix=TEMPORARY_PREFIX) as file:
        for rows in store.rows(pa.array(keys, pa.string()), ["sha256", "image"]):
            images = rows.column("image").combine_chunks().field("bytes")
            for key, image in zip(rows.column("sha256").to_pylist(), images, strict=True):
                extents[index_of[key]] = file.tell(), file.write(image.as_buffer())
        file.flush()
        store.check(int((extents[:, 1] > 0).sum()), len(keys), "pictures")
        yield Pictures(keys, photos.truth[selected], extents, file.fileno())
