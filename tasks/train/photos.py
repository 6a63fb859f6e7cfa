"""The photos that a head is trained and tested on: labels and splits, and their bottlenecks or pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.shards.manifests import Manifest
from tasks.snapshot.photos import read_snapshot, usable
from tasks.snapshot.splits import SPLITS, Splits, assign_splits
from tasks.storage.layout import DataRoot
from tasks.train.features import Features
from tasks.train.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
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
class EmbeddedPhotos(LabelledPhotos):
    """Photos with their bottlenecks.

    Args:
        features: The bottlenecks.
    """

    features: Features

    def in_tenths(self, tenths: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Which photos are in some of the tenths: bool [N]."""
        return np.isin(self.splits.tenths, list(tenths))


def load_photos(
    snapshot: str, bottlenecks: Sequence[Manifest], settings: TrainSettings, root: DataRoot
) -> EmbeddedPhotos:
    """Load a snapshot's usable photos that have all their bottlenecks.

    Args:
        snapshot: The snapshot's key.
        bottlenecks: What the bottleneck stages say that they have of them, one for each of the settings' bottlenecks.
        settings: Of the head.
        root: Where the stores are.

    Raises:
        StoreError: A store has lost bottlenecks since, or a shard is damaged.
    """
    table = usable(read_snapshot(root, snapshot))
    keys = table.column("sha256").combine_chunks()
    features = Features(keys, settings, root)
    features.check([manifest.photos for manifest in bottlenecks])
    if not features.there.all():
        table = table.filter(pa.array(features.there))
        features = Features(table.column("sha256").combine_chunks(), settings, root)
    return EmbeddedPhotos(**vars(_photos(table)), features=features)


def load_pictured(snapshot: str, decoded: Manifest, settings: DecodeSettings, root: DataRoot) -> LabelledPhotos:
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


def _photos(table: pa.Table) -> LabelledPhotos:
    sha256, names = table.column("sha256").to_pylist(), table.column("label").to_pylist()
    labels = tuple(sorted(set(names)))
    place = {label: index for index, label in enumerate(labels)}
    truth = np.array([place[name] for name in names], np.int64)
    return LabelledPhotos(sha256, table.column("path").to_pylist(), labels, truth, assign_splits(sha256, names))
