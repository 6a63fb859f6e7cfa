"""The bottlenecks of photos as a head takes them: numbers of several stores side by side, block by block.

The numbers of a view are those of all backbones one after the other; the views of a photo are those of all crops.
Where all numbers are many, what is in memory at once is a few blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bottleneck.quantisation import Floats, Numbers
from tasks.bottleneck.settings import BottleneckSettings
from tasks.concurrency import map_ordered
from tasks.hardware import available_cores
from tasks.shards.key_index import KeyIndex
from tasks.shards.store import Search, ShardStore
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

#: Photos of a block at most.
BLOCK_PHOTOS = 1024
#: Bytes of numbers up to which they are read once and held.
MOST_HELD = 2**27

Places = npt.NDArray[np.int64]
#: Which of the D numbers of a view.
Which = slice | npt.NDArray[np.bool_]


class Block(NamedTuple):
    """The numbers of some photos.

    Args:
        places: Which photos these are: int64 [n].
        numbers: uint8 or int16 [n, V, D].
    """

    places: Places
    numbers: Numbers


@dataclass(frozen=True)
class Columns:
    """What the D numbers of a view are.

    Args:
        steps: float32 [D]: what 1 is, of the signed square root of an average.
        last: bool [D]: whether a number is of the last layer of its backbone.
        dtype: Of the numbers.
    """

    steps: Floats
    last: npt.NDArray[np.bool_]
    dtype: np.dtype[np.uint8 | np.int16]

    def values(self, numbers: Numbers, which: Which, *, rooted: bool) -> Floats:
        """What numbers stand for.

        Args:
            numbers: uint8 or int16 [..., d].
            which: Which of the D numbers of a view these are.
            rooted: Whether the signed square roots of averages are wanted; otherwise the averages.

        Returns:
            float32 [..., d].
        """
        roots: Floats = numbers.astype(np.float32)
        roots *= self.steps[which]
        return roots if rooted else roots * np.abs(roots)


def columns_of(settings: TrainSettings) -> Columns:
    """What the numbers of a view are."""
    bottlenecks = [same[0] for same in settings.by_backbone]
    dtypes = [np.dtype(bottleneck.quantisation.dtype) for bottleneck in bottlenecks]
    return Columns(
        steps=np.repeat(
            [each.quantisation.step for each in bottlenecks], [each.backbone.width for each in bottlenecks]
        ).astype(np.float32),
        last=np.concatenate([np.arange(each.backbone.width) < each.backbone.widths[0] for each in bottlenecks]),
        dtype=np.result_type(*dtypes),
    )


class FeaturePart(NamedTuple):
    """The bottlenecks of one store, and where they go.

    Args:
        bottleneck: Which bottlenecks.
        views: Which of the V views of a photo they are, drawn ones too.
        numbers: Which of the D numbers of a view.
    """

    bottleneck: BottleneckSettings
    views: slice
    numbers: slice


def parts_of(settings: TrainSettings) -> Iterator[FeaturePart]:
    """Where the bottlenecks of each store go, in the order of the settings."""
    widths = [same[0].backbone.width for same in settings.by_backbone]
    for same, start in zip(settings.by_backbone, accumulate(widths, initial=0), strict=False):
        views = [bottleneck.all_views for bottleneck in same]
        for bottleneck, first in zip(same, accumulate(views, initial=0), strict=False):
            numbers = slice(start, start + bottleneck.backbone.width)
            yield FeaturePart(bottleneck, slice(first, first + bottleneck.all_views), numbers)


class _Stored(NamedTuple):
    """The bottlenecks of one store, which of the wanted ones it has, and where they go."""

    store: ShardStore
    found: Search
    part: FeaturePart


class Features:
    """The bottlenecks of photos, of all stores of a head's settings.

    Args:
        keys: The photos' sha256, N.
        settings: Of the head; it has V views of D numbers.
        root: Where the stores are.

    Attributes:
        settings: Of the head.
        columns: What the numbers are.
        there: Which photos have all their bottlenecks: bool [N].
        shape: N, V and D.

    Raises:
        StoreError: A shard is damaged.
    """

    def __init__(self, keys: pa.Array, settings: TrainSettings, root: DataRoot) -> None:
        self.settings, self._keys, self._root = settings, keys, root
        self.columns = columns_of(settings)
        self._stored = list(_stored(keys, settings, root))
        self.there: npt.NDArray[np.bool_] = np.logical_and.reduce([stored.found.found for stored in self._stored])
        views = sum(bottleneck.all_views for bottleneck in settings.crops)
        self.shape = len(keys), views, len(self.columns.steps)

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        photos, views, width = self.shape
        return photos * views * width * self.columns.dtype.itemsize

    def of(self, keys: pa.Array) -> "Features":
        """The same bottlenecks of other photos."""
        return Features(keys, self.settings, self._root)

    def check(self, promised: Sequence[int]) -> None:
        """Compare what the stores have with what their manifests promised: how many photos each.

        Raises:
            DamagedError: A store has less.
        """
        for stored, photos in zip(self._stored, promised, strict=True):
            stored.store.check(int(stored.found.found.sum()), photos, "photos")

    def blocks(self, which: npt.NDArray[np.bool_]) -> Iterator[Block]:
        """Read photos that have all their bottlenecks, bool [N]: each once, in an order of the stores'.

        Raises:
            StoreError: A shard is damaged or gone.
        """
        if self.nbytes > MOST_HELD:
            yield from self._stream(which)
            return
        wanted = np.flatnonzero(which)
        for start in range(0, len(wanted), BLOCK_PHOTOS):
            places = wanted[start : start + BLOCK_PHOTOS]
            yield Block(places, self._held[places])

    def read(self, which: npt.NDArray[np.bool_], views: Sequence[int], columns: Which = slice(None)) -> Numbers:
        """Read some numbers of some views of photos that have all their bottlenecks, bool [N], at once.

        Returns:
            In the order of the photos: uint8 or int16 [n, views, numbers].
        """
        numbers = np.empty((int(which.sum()), len(views), len(self.columns.steps[columns])), self.columns.dtype)
        rank = np.cumsum(which) - 1
        for block in self.blocks(which):
            numbers[rank[block.places]] = block.numbers[:, list(views)][..., columns]
        return numbers

    @cached_property
    def _held(self) -> Numbers:
        numbers = np.zeros(self.shape, self.columns.dtype)
        for block in self._stream(self.there):
            numbers[block.places] = block.numbers
        return numbers

    def _stream(self, which: npt.NDArray[np.bool_]) -> Iterator[Block]:
        shards, holders = self._stored[0].found.holders(which)
        wanted = np.flatnonzero(which)
        order = np.argsort(holders, kind="stable")
        ends = np.cumsum(np.bincount(holders, minlength=len(shards)))[:-1]
        batches = (
            wanted[part[start : start + BLOCK_PHOTOS]]
            for part in np.split(order, ends)
            for start in range(0, len(part), BLOCK_PHOTOS)
        )
        return map_ordered(self._read, batches, available_cores())

    def _read(self, places: Places) -> Block:
        """Read the photos of one block from all stores.

        Raises:
            StoreError: A shard is damaged or gone, or lacks views of a photo.
        """
        keys = self._keys.take(pa.array(places))
        index = KeyIndex(keys)
        numbers = np.zeros((len(places), *self.shape[1:]), self.columns.dtype)
        which = np.zeros(len(self._keys), bool)
        which[places] = True
        for store, found, part in self._stored:
            there = np.zeros((len(places), part.bottleneck.all_views), bool)
            for rows in store.rows(keys, ["sha256", "view", "bottleneck"], found.shards(which)):
                read = np.asarray(rows.column("bottleneck").combine_chunks().flatten()).reshape(len(rows), -1)
                here, views = index.places(rows.column("sha256")), np.asarray(rows.column("view"))
                numbers[here, part.views.start + views, part.numbers] = read
                there[here, views] = True
            store.check(int(there.all(axis=1).sum()), len(places), "photos")
        return Block(places, numbers)


def _stored(keys: pa.Array, settings: TrainSettings, root: DataRoot) -> Iterator[_Stored]:
    for part in parts_of(settings):
        store = part.bottleneck.store(root)
        yield _Stored(store, store.search(keys), part)


def read_values(features: Features, which: npt.NDArray[np.bool_]) -> Floats:
    """Read what a head takes of photos that have all their bottlenecks, bool [N], at once: for few photos.

    Returns:
        float32 [n, V, D]: the views that predict, and the numbers of the layers that the head takes.
    """
    settings, columns = features.settings, features.columns
    taken = _taken(settings, columns)
    return columns.values(features.read(which, settings.predicting_views, taken), taken, rooted=settings.rooted)


def head_values(numbers: Numbers, settings: TrainSettings, columns: Columns) -> Floats:
    """Make of all numbers of photos, [n, V, D], what a head takes: see `read_values`."""
    taken = _taken(settings, columns)
    return columns.values(numbers[:, list(settings.predicting_views)][..., taken], taken, rooted=settings.rooted)


def _taken(settings: TrainSettings, columns: Columns) -> Which:
    """The numbers that a head takes: all of them, or those of the last layers."""
    return slice(None) if settings.rooted else columns.last
