"""Bottlenecks of photos as a head takes them: numbers of several stores side by side, block by block.

The numbers of a view are those of all backbones one after the other; the views of a photo are those of all crops.
Where all numbers exceed `MOST_HELD`, a few blocks at a time are in memory.
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
from tasks.paths import AnyPath
from tasks.shards.key_index import KeyIndex
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tasks.train.settings import TrainSettings

BLOCK_PHOTOS = 1024
#: Bytes of numbers up to which they are read once and held.
MOST_HELD = 2**27

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Block(NamedTuple):
    """Numbers of some photos."""

    indices: Indices  #: Indices of the photos: int64 [n].
    numbers: Numbers  #: uint8 or int16 [n, V, D].


@dataclass(frozen=True)
class Columns:
    """The D numbers of a view."""

    steps: Floats  #: float32 [D]: signed square root of an average that the number 1 stands for.
    last: Mask  #: bool [D]: whether a number is of the last layer of its backbone.
    dtype: np.dtype[np.uint8 | np.int16]  #: Type of the numbers.

    def values(self, numbers: Numbers, columns: slice | Mask, *, rooted: bool) -> Floats:
        """Compute the values that stored numbers stand for.

        Args:
            numbers: uint8 or int16 [..., d].
            columns: The places of these d numbers among the D numbers of a view.
            rooted: Whether to return signed square roots of averages; otherwise averages.

        Returns:
            float32 [..., d].
        """
        roots: Floats = numbers.astype(np.float32)
        roots *= self.steps[columns]
        return roots if rooted else roots * np.abs(roots)


def columns_of(settings: TrainSettings) -> Columns:
    """Return the columns that a head's settings give."""
    bottlenecks = [same[0] for same in settings.by_backbone]
    widths = [bottleneck.backbone.width for bottleneck in bottlenecks]
    return Columns(
        steps=np.repeat([bottleneck.quantisation.step for bottleneck in bottlenecks], widths).astype(np.float32),
        last=np.concatenate([np.arange(each.backbone.width) < each.backbone.widths[0] for each in bottlenecks]),
        dtype=np.result_type(*(np.dtype(bottleneck.quantisation.dtype) for bottleneck in bottlenecks)),
    )


class FeaturePart(NamedTuple):
    """The part of the features that one store holds."""

    bottleneck: BottleneckSettings  #: Settings of the store's bottlenecks.
    views: slice  #: Their places among the V views of a photo, drawn ones included.
    numbers: slice  #: Their places among the D numbers of a view.


def parts_of(settings: TrainSettings) -> Iterator[FeaturePart]:
    """Yield the part of each store, in the order of the settings."""
    widths = [same[0].backbone.width for same in settings.by_backbone]
    for same, start in zip(settings.by_backbone, accumulate(widths, initial=0), strict=False):
        views = [bottleneck.all_views for bottleneck in same]
        for bottleneck, first in zip(same, accumulate(views, initial=0), strict=False):
            numbers = slice(start, start + bottleneck.backbone.width)
            yield FeaturePart(bottleneck, slice(first, first + bottleneck.all_views), numbers)


class _StoredPart(NamedTuple):
    """A part in its store.

    `shard_of`, int32 [N], is the index of the shard that holds each photo; -1 where none does.
    """

    part: FeaturePart
    store: ShardStore
    shards: Sequence[AnyPath]
    shard_of: npt.NDArray[np.int32]

    @classmethod
    def find(cls, part: FeaturePart, store: ShardStore, keys: pa.Array) -> "_StoredPart":
        search = store.search(keys)
        shard_of = np.full(len(keys), -1, np.int32)
        shards, shard_of[search.found] = search.holders(search.found)
        return cls(part, store, shards, shard_of)


class Features:
    """Bottlenecks of N photos, given their sha256, from the stores of a head's settings: V views of D numbers each.

    Attributes:
        settings: Settings of the head.
        columns: The D numbers of a view.
        complete: Which photos have all their bottlenecks: bool [N].
        shape: N, V and D.
    """

    def __init__(self, keys: pa.Array, settings: TrainSettings, stored: Sequence[_StoredPart]) -> None:
        self.settings, self._keys, self._stored = settings, keys, stored
        self.columns = columns_of(settings)
        self.complete: Mask = np.logical_and.reduce([part.shard_of >= 0 for part in stored])
        self.shape = len(keys), sum(crop.all_views for crop in settings.crops), len(self.columns.steps)

    @classmethod
    def find(cls, keys: pa.Array, settings: TrainSettings, root: DataRoot) -> "Features":
        """Find photos in the stores below a data root.

        Raises:
            StoreError: A shard is damaged.
        """
        parts = [_StoredPart.find(part, part.bottleneck.store(root), keys) for part in parts_of(settings)]
        return cls(keys, settings, parts)

    def find_others(self, keys: pa.Array) -> "Features":
        """Find other photos in the same stores."""
        return Features(keys, self.settings, [_StoredPart.find(part.part, part.store, keys) for part in self._stored])

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        photos, views, width = self.shape
        return photos * views * width * self.columns.dtype.itemsize

    def filter(self, selected: Mask) -> "Features":
        """Return the bottlenecks of the selected photos, bool [N], without another look into the stores."""
        stored = [part._replace(shard_of=part.shard_of[selected]) for part in self._stored]
        return Features(self._keys.filter(pa.array(selected)), self.settings, stored)

    def check(self, promised: Sequence[int]) -> None:
        """Compare the number of photos in each store with the number that its manifest promised.

        Raises:
            DamagedError: A store has fewer.
        """
        for stored, photos in zip(self._stored, promised, strict=True):
            stored.store.check(int((stored.shard_of >= 0).sum()), photos, "photos")

    def blocks(self, selected: Mask) -> Iterator[Block]:
        """Read selected photos, bool [N], that have all their bottlenecks: each once, in an order of the stores'.

        Raises:
            StoreError: A shard is damaged or gone.
        """
        if self.nbytes > MOST_HELD:
            yield from self._stream(selected)
            return
        for indices in _blocks(np.flatnonzero(selected)):
            yield Block(indices, self._held[indices])

    def read(self, selected: Mask, views: Sequence[int], columns: slice | Mask = slice(None)) -> Numbers:
        """Read numbers of photos that have all their bottlenecks into one array.

        Args:
            selected: The photos: bool [N].
            views: Indices of the views.
            columns: The numbers of a view.

        Returns:
            uint8 or int16 [n, views, columns], in the order of the photos.
        """
        numbers = np.empty((int(selected.sum()), len(views), len(self.columns.steps[columns])), self.columns.dtype)
        rank = np.cumsum(selected) - 1
        for block in self.blocks(selected):
            numbers[rank[block.indices]] = block.numbers[:, list(views)][..., columns]
        return numbers

    @cached_property
    def _held(self) -> Numbers:
        numbers = np.zeros(self.shape, self.columns.dtype)
        for block in self._stream(self.complete):
            numbers[block.indices] = block.numbers
        return numbers

    def _stream(self, selected: Mask) -> Iterator[Block]:
        """Read blocks whose photos lie in one shard of the first store."""
        indices = np.flatnonzero(selected)
        shard_of = self._stored[0].shard_of[indices]
        ends = np.cumsum(np.bincount(shard_of, minlength=len(self._stored[0].shards)))[:-1]
        by_shard = np.split(indices[np.argsort(shard_of, kind="stable")], ends)
        return map_ordered(self._read, (block for own in by_shard for block in _blocks(own)), available_cores())

    def _read(self, indices: Indices) -> Block:
        """Read a block from all stores; it is an error if one lacks views of a photo."""
        keys = self._keys.take(pa.array(indices))
        index = KeyIndex(keys)
        numbers = np.zeros((len(indices), *self.shape[1:]), self.columns.dtype)
        for part, store, shards, shard_of in self._stored:
            found = np.zeros((len(indices), part.bottleneck.all_views), bool)
            holders = [shards[number] for number in np.unique(shard_of[indices])]
            for rows in store.rows(keys, ["sha256", "view", "bottleneck"], holders):
                read = np.asarray(rows.column("bottleneck").combine_chunks().flatten()).reshape(len(rows), -1)
                photos, views = index.places(rows.column("sha256")), np.asarray(rows.column("view"))
                numbers[photos, part.views.start + views, part.numbers] = read
                found[photos, views] = True
            store.check(int(found.all(axis=1).sum()), len(indices), "photos")
        return Block(indices, numbers)


def _blocks(indices: Indices) -> Iterator[Indices]:
    return (indices[start : start + BLOCK_PHOTOS] for start in range(0, len(indices), BLOCK_PHOTOS))


def read_values(features: Features, selected: Mask) -> Floats:
    """Read the inputs of a head of selected photos, bool [N], that have all their bottlenecks: for few photos.

    They are float32 [n, V, D]: the views that predict, and the numbers of the layers that the head takes.
    """
    settings, columns = features.settings, features.columns
    taken = _head_columns(settings, columns)
    return columns.values(features.read(selected, settings.predicting_views, taken), taken, rooted=settings.rooted)


def head_values(numbers: Numbers, settings: TrainSettings, columns: Columns) -> Floats:
    """Compute the inputs of a head from all numbers of photos, [n, V, D]; see `read_values`."""
    taken = _head_columns(settings, columns)
    return columns.values(numbers[:, list(settings.predicting_views)][..., taken], taken, rooted=settings.rooted)


def _head_columns(settings: TrainSettings, columns: Columns) -> slice | Mask:
    return slice(None) if settings.rooted else columns.last
