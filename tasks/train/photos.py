"""The photos that a head is trained and tested on: labels and splits, and their bottlenecks or pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.artifacts import DataRoot, KeyIndex, Manifest
from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.paths import AnyPath
from tasks.snapshot.photos import read_snapshot, usable
from tasks.snapshot.splits import SPLITS, Splits, assign_splits
from tasks.threads import prefetch
from tasks.train.vectors import Vectors, choose, make_room


@dataclass(frozen=True, eq=False)
class Photos:
    """N photos of C labels, sorted by sha256.

    Args:
        sha256: Their keys, N.
        paths: Their paths in the dataset, N.
        labels: The labels, C, sorted.
        truth: Each photo's place in `labels`, int64 [N].
        splits: Each photo's split.
    """

    sha256: list[str]
    paths: list[str]
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    splits: Splits

    def of(self, split: str) -> npt.NDArray[np.bool_]:
        """Which photos are in a split: bool [N]."""
        chosen: npt.NDArray[np.bool_] = self.splits.ids == SPLITS.index(split)
        return chosen


@dataclass(frozen=True, eq=False)
class EmbeddedPhotos(Photos):
    """Photos with their bottlenecks.

    Args:
        vectors: float32 [N, V, D], in memory or on disk.
    """

    vectors: Vectors


def read_bottlenecks(
    keys: pa.Array, settings: BottleneckSettings, root: DataRoot, shards: Sequence[AnyPath] | None = None
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Read the bottlenecks of photos, as far as the store has them.

    Args:
        keys: The photos' sha256, N.
        settings: Which bottlenecks, with V views of D numbers.
        root: Where the stores are.
        shards: Where to look; None looks everywhere.

    Returns:
        float32 [N, V, D], whatever they are stored in, in memory or on disk, and which of them are there: bool [N, V].

    Raises:
        StoreError: A shard is damaged or gone, or there are more bottlenecks than fit in memory, and the disk has no
            room for them either.
    """
    store, width = settings.store(root), settings.backbone.width
    vectors = make_room((len(keys), settings.all_views, width), store.folder)
    filled = np.zeros((len(keys), settings.all_views), bool)
    index = KeyIndex(keys)
    for rows in prefetch(store.rows(keys, shards=shards), 1):
        places = index.places(rows.column("sha256"))
        views = np.asarray(rows.column("view"))
        numbers = np.asarray(rows.column("bottleneck").combine_chunks().flatten())
        vectors[places, views] = numbers.astype(np.float32, copy=False).reshape(-1, width)
        filled[places, views] = True
    return vectors, filled


def load_photos(snapshot: str, bottlenecks: Manifest, settings: BottleneckSettings, root: DataRoot) -> EmbeddedPhotos:
    """Load a snapshot's usable photos that have bottlenecks.

    Args:
        snapshot: The snapshot's key.
        bottlenecks: What the bottleneck stage says that it has of them.
        settings: Which bottlenecks.
        root: Where the stores are.

    Raises:
        StoreError: The store has lost bottlenecks since, a shard is damaged, or there are more bottlenecks than fit in
            memory, and the disk has no room for them either.
    """
    table = usable(read_snapshot(root, snapshot))
    store = settings.store(root)
    keys = table.column("sha256").combine_chunks()
    vectors, filled = read_bottlenecks(keys, settings, root, [store.folder / name for name in bottlenecks.shards])
    there = np.asarray(filled.all(axis=1))
    store.check(int(there.sum()), bottlenecks.photos, "photos")
    photos = _photos(table.filter(pa.array(there)))
    return EmbeddedPhotos(**vars(photos), vectors=vectors if there.all() else choose(vectors, there))


def load_pictured(snapshot: str, decoded: Manifest, settings: DecodeSettings, root: DataRoot) -> Photos:
    """Load a snapshot's usable photos that have a picture.

    Args:
        snapshot: The snapshot's key.
        decoded: What the decode stage says that it has of them.
        settings: Which pictures.
        root: Where the stores are.

    Raises:
        StoreError: The store has lost pictures since, or a shard is damaged.
    """
    table = usable(read_snapshot(root, snapshot))
    store = open_stores(root, settings).decoded
    there = store.found(table.column("sha256").combine_chunks())
    store.check(int(there.sum()), decoded.photos, "pictures")
    return _photos(table.filter(pa.array(there)))


def _photos(table: pa.Table) -> Photos:
    sha256, names = table.column("sha256").to_pylist(), table.column("label").to_pylist()
    labels = tuple(sorted(set(names)))
    place = {label: index for index, label in enumerate(labels)}
    truth = np.array([place[name] for name in names], np.int64)
    return Photos(sha256, table.column("path").to_pylist(), labels, truth, assign_splits(sha256, names))
