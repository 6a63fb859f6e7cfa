"""Bottleneck extraction: every decoded photo that has no bottleneck yet gets one vector a view.

Three things overlap: the next pictures are read, as many batches as the forward pass takes at once are decoded and go
through it, each in a thread of its own, and a thread writes the last shard. What is in memory at once is a few batches
and two shards, however many photos there are.
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from tasks.bottleneck.forward import Forward, Vectors
from tasks.bottleneck.quantisation import Numbers, Quantisation, quantise
from tasks.bottleneck.views import Views
from tasks.concurrency import BackgroundWriter, map_ordered
from tasks.decode.images import read_pixels
from tasks.progress import Progress
from tasks.shards.store import ShardStore

PHOTOS_PER_SHARD = 1024


def extract_bottlenecks(
    pictures: Iterable[pa.Table], views: Views, forward: Forward, sink: "ShardWriter", progress: Progress
) -> int:
    """Compute the bottlenecks of pictures and write them, a row a photo and view.

    Args:
        pictures: Tables with the columns sha256 and image of the decoded store.
        views: What the backbone is shown of each.
        forward: The backbone.
        sink: Takes the vectors.
        progress: Told of every photo.

    Returns:
        How many photos there were.
    """

    def embed(batch: tuple[list[str], list[bytes]]) -> tuple[list[str], Vectors]:
        keys, images = batch
        pixels = np.stack([read_pixels(image) for image in images])
        return keys, np.stack([forward(view) for view in views.of(keys, pixels)], axis=1)

    count = 0
    for keys, vectors in map_ordered(embed, _batches(pictures, forward.batch_size), forward.workers):
        sink.add(keys, vectors)
        progress.advance(len(keys))
        count += len(keys)
    return count


def _batches(pictures: Iterable[pa.Table], size: int) -> Iterator[tuple[list[str], list[bytes]]]:
    """Regroup pictures into batches of one size, the last one smaller: keys and encoded pictures."""
    keys: list[str] = []
    images: list[bytes] = []
    for table in pictures:
        encoded = table.column("image").combine_chunks().field("bytes")
        for key, image in zip(table.column("sha256").to_pylist(), encoded, strict=True):
            keys.append(key)
            images.append(image.as_py())
            if len(keys) == size:
                yield keys, images
                keys, images = [], []
    if keys:
        yield keys, images


class ShardWriter:
    """Collects bottlenecks and publishes them as shards in a thread of its own.

    What was added when an exception ends the block is published too, so that a failure loses no finished work.

    Args:
        store: The bottleneck store.
        quantisation: What its numbers are stored in.
        photos_per_shard: Photos after which a shard is published.
    """

    def __init__(self, store: ShardStore, quantisation: Quantisation, photos_per_shard: int = PHOTOS_PER_SHARD) -> None:
        self._store, self._quantisation, self._photos_per_shard = store, quantisation, photos_per_shard
        self._keys: list[str] = []
        self._vectors: list[Numbers] = []
        self._behind = BackgroundWriter()

    def add(self, keys: list[str], vectors: Vectors) -> None:
        """Take the vectors of photos: float32 [N, V, D].

        Raises:
            BackboneError: They cannot be stored; see `quantise`.
        """
        self._vectors.append(quantise(vectors, self._quantisation, [f"the photo {key}" for key in keys]))
        self._keys += keys
        if len(self._keys) >= self._photos_per_shard:
            self._publish()

    def _publish(self) -> None:
        if self._keys:
            self._behind.do(self._write, self._keys, self._vectors)
            self._keys, self._vectors = [], []

    def _write(self, keys: list[str], vectors: list[Numbers]) -> None:
        self._store.append(_table(keys, np.concatenate(vectors), self._store.schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._behind:
            self._publish()
            self._behind.wait()


def _table(keys: list[str], vectors: Numbers, schema: pa.Schema) -> pa.Table:
    """Lay whole numbers [N, V, D] out as N x V rows."""
    photos, views, width = vectors.shape
    numbers = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), width)
    columns = [
        pa.array(np.repeat(np.array(keys, dtype=object), views), pa.string()),
        pa.array(np.tile(np.arange(views, dtype=np.int8), photos)),
        numbers.cast(schema.field("bottleneck").type),
    ]
    return pa.table(columns, schema=schema)
