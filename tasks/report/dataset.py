"""Data section: photos by label and split, changes since the previous run, rejected and repeated photos."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.decode.photos import open_stores, read_rejected
from tasks.decode.rejected_rows import missing_photos
from tasks.decode.rejections import MissingPhoto
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.snapshot.photos import read_snapshot, usable
from tasks.snapshot.splits import SPLITS
from tasks.storage.layout import DataRoot
from tasks.train.photos import LabelledPhotos


@dataclass(frozen=True)
class LabelCount:
    """Photos of a label in each split."""

    label: str
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        """Photos of the label in all splits."""
        return self.train + self.validation + self.test


class LabelChange(NamedTuple):
    """Changes of a label's photos."""

    label: str
    added: int  #: Photos that are new in the dataset.
    removed: int  #: Photos that are no longer in the dataset.
    relabelled: int  #: Photos that had another label.


class SnapshotChanges(NamedTuple):
    """Changes between two snapshots."""

    labels: list[LabelChange]  #: Labels that changed, sorted.
    added: list[str]  #: Keys of the added photos, sorted.


class PhotoPath(NamedTuple):
    """Path of a photo in the dataset, and the label of its folder."""

    path: str
    label: str


class RepeatedPhoto(NamedTuple):
    """A photo with several paths: its key, and the paths in their order."""

    sha256: str
    paths: list[PhotoPath]


class RepeatedPhotos(NamedTuple):
    """Photos of a snapshot with several paths, in the order of their first paths."""

    conflicts: Sequence[RepeatedPhoto]  #: Photos under several labels.
    duplicates: Sequence[RepeatedPhoto]  #: Photos with several paths under one label.


def count_photos(photos: LabelledPhotos) -> list[LabelCount]:
    """Count the photos of each label in each split."""
    cells = photos.truth * len(SPLITS) + photos.splits.ids
    table = np.bincount(cells, minlength=len(photos.labels) * len(SPLITS)).reshape(-1, len(SPLITS))
    return [LabelCount(label, *row) for label, row in zip(photos.labels, table.tolist(), strict=True)]


def compare_snapshots(before: pa.Table, now: pa.Table) -> SnapshotChanges:
    """Compare the usable photos of two snapshots' tables by content: a photo that was only moved is no change."""
    old, new = usable(before), usable(now)
    rows = pc.index_in(new["sha256"], old["sha256"].combine_chunks()).combine_chunks()
    added = np.asarray(pc.is_null(rows))
    # An earlier version of this project kept labels as their folders' names were written.
    old = old.set_column(old.column_names.index("label"), "label", pc.utf8_normalize(old["label"], form="NFC"))
    differs = pc.not_equal(new["label"], old["label"].take(rows))
    relabelled = np.asarray(pc.fill_null(differs, fill_value=False).combine_chunks())
    removed = ~np.asarray(pc.is_in(old["sha256"], new["sha256"].combine_chunks()).combine_chunks())
    counts = [_count_labels(new, added), _count_labels(old, removed), _count_labels(new, relabelled)]
    labels = sorted(set().union(*counts))
    changes = [LabelChange(label, *(count.get(label, 0) for count in counts)) for label in labels]
    return SnapshotChanges(changes, new.filter(pa.array(added))["sha256"].to_pylist())


def read_changes(before: str, now: pa.Table, root: DataRoot) -> SnapshotChanges | None:
    """Compare a snapshot with an earlier one, given by its key; None if that is missing or damaged."""
    try:
        return compare_snapshots(read_snapshot(root, before), now)
    except StoreError:
        return None


def _count_labels(table: pa.Table, chosen: npt.NDArray[np.bool_]) -> dict[str, int]:
    counted: Iterable[dict[str, int]] = pc.value_counts(table["label"].filter(pa.array(chosen))).to_pylist()
    return {str(item["values"]): item["counts"] for item in counted}


def find_repeated_photos(snapshot: pa.Table) -> RepeatedPhotos:
    """Find the photos of a snapshot's table that have several paths."""
    copies, paths = snapshot["duplicate_of"], snapshot["path"]
    duplicate = pc.or_(pc.is_valid(copies), pc.is_in(paths, copies.drop_null().unique()))
    return RepeatedPhotos(
        conflicts=_group(snapshot.filter(snapshot["conflict"]), ("sha256",)),
        duplicates=_group(snapshot.filter(duplicate), ("sha256", "label")),
    )


def _group(rows: pa.Table, columns: Sequence[str]) -> list[RepeatedPhoto]:
    """Group rows that have the same values in some columns, the first of which is the key of the photo."""
    groups = defaultdict(list)
    for row in rows.to_pylist():
        groups[tuple(row[name] for name in columns)].append(PhotoPath(row["path"], row["label"]))
    return [RepeatedPhoto(key, paths) for (key, *_), paths in groups.items()]


def find_rejected_photos(snapshot: pa.Table, decodes: Sequence[DecodeSettings], root: DataRoot) -> list[MissingPhoto]:
    """Find the usable photos that at least one of several ways to decode rejected, each once, sorted."""
    photos = usable(snapshot)
    keys = photos["sha256"].combine_chunks()
    rejected: dict[str, MissingPhoto] = {}
    for stores in (open_stores(root, decode) for decode in decodes):
        missing = keys.filter(pa.array(~stores.decoded.found(keys)))
        rejected |= {photo.path: photo for photo in missing_photos(photos, read_rejected(stores, missing))}
    return sorted(rejected.values())
