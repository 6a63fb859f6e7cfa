"""Photos that a model is trained and tested on: labels and splits, and their bottlenecks or pictures."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.decode.photos import open_stores
from tasks.decode.settings import DecodeSettings
from tasks.shards.manifests import Manifest
from tasks.snapshot.photos import read_snapshot, usable
from tasks.snapshot.splits import SPLITS, Splits, assign_splits
from tasks.storage.layout import DataRoot
from tasks.train.features import MOST_HELD, Features, read_values
from tasks.train.scores import Examples
from tasks.train.settings import TrainSettings
from tasks.train.statistics import Statistics


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """N photos of C labels, sorted by sha256."""

    sha256: list[str]  #: Keys, N.
    paths: list[str]  #: Paths in the dataset, N.
    labels: tuple[str, ...]  #: The labels, C, sorted.
    truth: npt.NDArray[np.int64]  #: Index of each photo's label, int64 [N].
    splits: Splits  #: Split of each photo.

    def places(self, keys: Iterable[str]) -> list[int]:
        """Indices of some of the photos, given their keys."""
        return [bisect_left(self.sha256, key) for key in keys]

    def of(self, split: str) -> npt.NDArray[np.bool_]:
        """Select the photos of a split: bool [N]."""
        chosen: npt.NDArray[np.bool_] = self.splits.ids == SPLITS.index(split)
        return chosen


@dataclass(frozen=True, eq=False)
class EmbeddedPhotos(LabelledPhotos):
    """Photos with their bottlenecks."""

    features: Features  #: The bottlenecks.
    #: Statistics of the last tenths that were summed up in memory, by these tenths; see `TenthStatistics`.
    summed: dict[frozenset[int], Statistics] = field(default_factory=dict)

    def in_tenths(self, tenths: Iterable[int]) -> npt.NDArray[np.bool_]:
        """Select the photos of some tenths: bool [N]."""
        return np.isin(self.splits.tenths, list(tenths))

    def examples(self, selected: npt.NDArray[np.bool_]) -> Examples:
        """Read the head's inputs and the labels of selected photos, bool [N]."""
        return Examples(read_values(self.features, selected), self.truth[selected])


#: The photos of the head that this process trained last, by its key.
_trained: dict[str, EmbeddedPhotos] = {}


def keep_photos(head: str, photos: EmbeddedPhotos) -> None:
    """Keep the photos of a trained head for its evaluation in the same process, unless they exceed `MOST_HELD`."""
    _trained.clear()
    if photos.features.nbytes <= MOST_HELD:
        _trained[head] = photos


def take_photos(head: str) -> EmbeddedPhotos | None:
    """Take the photos that `keep_photos` kept for a head; None if there are none. They are kept no longer."""
    return _trained.pop(head, None)


def load_photos(
    snapshot: str, bottlenecks: Sequence[Manifest], settings: TrainSettings, root: DataRoot
) -> EmbeddedPhotos:
    """Load a snapshot's usable photos that have all their bottlenecks, given a manifest for each bottleneck stage.

    Raises:
        StoreError: A store has lost bottlenecks since, or a shard is damaged.
    """
    table = usable(read_snapshot(root, snapshot))
    features = Features.find(table.column("sha256").combine_chunks(), settings, root)
    features.check([manifest.photos for manifest in bottlenecks])
    if not features.complete.all():
        table, features = table.filter(pa.array(features.complete)), features.filter(features.complete)
    return EmbeddedPhotos(**vars(label_photos(table)), features=features)


def load_pictured(snapshot: str, decoded: Manifest, settings: DecodeSettings, root: DataRoot) -> LabelledPhotos:
    """Load a snapshot's usable photos that have a picture, given the manifest of the decode stage.

    Raises:
        StoreError: The store has lost pictures since, or a shard is damaged.
    """
    table = usable(read_snapshot(root, snapshot))
    store = open_stores(root, settings).decoded
    found = store.found(table.column("sha256").combine_chunks())
    store.check(int(found.sum()), decoded.photos, "pictures")
    return label_photos(table.filter(pa.array(found)))


def label_photos(table: pa.Table) -> LabelledPhotos:
    """Split photos, given the columns `sha256`, `path`, `label` and `split`, and index their labels."""
    names = table.column("label")
    labels = sorted(pc.unique(names).to_pylist())
    truth = pc.index_in(names, value_set=pa.array(labels, pa.string())).to_numpy().astype(np.int64)
    sha256, paths, given = (table.column(name).to_pylist() for name in ("sha256", "path", "split"))
    return LabelledPhotos(sha256, paths, tuple(labels), truth, assign_splits(sha256, names.to_pylist(), given))
