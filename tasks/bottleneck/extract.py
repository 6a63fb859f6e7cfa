"""Bottleneck extraction: from the pictures of the decoded store to one vector a photo and view.

Three things overlap: one thread reads the next pictures, several threads decode a batch each and run the forward pass,
and one thread writes the last shard. Memory holds a few batches and two shards, however many photos there are.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from tasks.bottleneck.forward import Forward, Vectors
from tasks.bottleneck.quantisation import Numbers, Quantisation, quantise
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import draw_views
from tasks.concurrency import BackgroundWriter, map_ordered
from tasks.decode.images import read_pixels
from tasks.progress import Progress
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot

PHOTOS_PER_SHARD = 1024


def embed_pictures(
    pictures: Iterable[pa.Table], settings: BottleneckSettings, root: DataRoot, forward: Forward, progress: Progress
) -> int:
    """Compute the bottlenecks of pictures, and add a row a photo and view to the store of the settings.

    The pictures are tables with the columns sha256 and image. If a picture or the store fails, the bottlenecks so far
    are published too, so that a failure loses no finished work.

    Returns:
        The number of photos.

    Raises:
        BackboneError: A number cannot be stored; see `quantise`.
        StoreError: A picture is damaged.
    """

    def embed(batch: tuple[list[str], list[bytes]]) -> tuple[list[str], Vectors]:
        keys, images = batch
        views = draw_views(keys, np.stack(list(map(read_pixels, images))), settings.views, settings.distortion)
        return keys, np.stack([forward(view) for view in views], axis=1)

    count = 0
    with _ShardWriter(settings.store(root), settings.quantisation) as writer:
        for keys, vectors in map_ordered(embed, _batches(pictures, forward.batch_size), forward.workers):
            writer.add(keys, vectors)
            progress.advance(len(keys))
            count += len(keys)
    return count


def _batches(pictures: Iterable[pa.Table], size: int) -> Iterator[tuple[list[str], list[bytes]]]:
    """Regroup pictures into batches of keys and encoded pictures, all of one size but the last."""
    rows = (
        (key, image.as_py())
        for table in pictures
        for key, image in zip(table["sha256"].to_pylist(), table["image"].combine_chunks().field("bytes"), strict=True)
    )
    while batch := list(islice(rows, size)):
        yield [key for key, _ in batch], [image for _, image in batch]


class _ShardWriter:
    """Publishes bottlenecks as shards in a background thread, also those before an exception that ends the block."""

    def __init__(self, store: ShardStore, quantisation: Quantisation) -> None:
        self._store, self._quantisation = store, quantisation
        self._keys: list[str] = []
        self._vectors: list[Numbers] = []
        self._background = BackgroundWriter()

    def add(self, keys: list[str], vectors: Vectors) -> None:
        """Add the vectors of photos: float32 [N, V, D]."""
        self._vectors.append(quantise(vectors, self._quantisation, [f"the photo {key}" for key in keys]))
        self._keys += keys
        if len(self._keys) >= PHOTOS_PER_SHARD:
            self._publish()

    def _publish(self) -> None:
        if self._keys:
            self._background.do(self._write, self._keys, self._vectors)
            self._keys, self._vectors = [], []

    def _write(self, keys: list[str], vectors: list[Numbers]) -> None:
        self._store.append(_table(keys, np.concatenate(vectors), self._store.schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with self._background:
            self._publish()
            self._background.wait()


def _table(keys: list[str], vectors: Numbers, schema: pa.Schema) -> pa.Table:
    """Make a table of N x V rows from whole numbers [N, V, D]."""
    photos, views, width = vectors.shape
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
    columns = [
        pa.array(np.repeat(np.array(keys, dtype=object), views), pa.string()),
        pa.array(np.tile(np.arange(views, dtype=np.int8), photos)),
        numbers.cast(schema.field("bottleneck").type),
    ]
    return pa.table(columns, schema=schema)
