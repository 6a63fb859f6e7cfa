"""Snapshots: one row a photo, with its duplicates and conflicts, keyed by content."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.download.source_fallback import INVALIDATED
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.manifests import read_manifest
from tasks.shards.schemas import SNAPSHOT, describe
from tasks.snapshot.corrections import CorrectedPhotos, Corrections
from tasks.snapshot.given_splits import settle_splits
from tasks.snapshot.hashed_photos import hash_photo_rows, hash_photos, list_labelled
from tasks.snapshot.hashes import drop_hashes, drop_racy
from tasks.snapshot.ignored import IgnoredSummary
from tasks.snapshot.labels import to_label
from tasks.snapshot.listing import fingerprint_rows
from tasks.snapshot.parquet.row_paths import photos_root
from tasks.snapshot.parquet.row_reader import are_rows
from tasks.snapshot.split_facts import GivenSplits
from tasks.snapshot.split_folders import label_folders
from tasks.snapshot.tables.label_tables import BESIDE, LabelSource
from tasks.snapshot.walk import list_unread
from tasks.storage.errors import DamagedError
from tasks.storage.files import local
from tasks.storage.layout import DataRoot


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A dataset's photos at one moment."""

    #: The version of the dataset: first 16 hex digits of the sha256 over its sorted (path, label, sha256) rows, which
    #: also have the split if the dataset gives any.
    key: str
    #: Columns of `SNAPSHOT`, sorted by path. `label` is the name of the label's folder in Unicode's form NFC, or that
    #: of a correction; `path` keeps the form of the file. `duplicate_of` is the smallest path with the same bytes under
    #: the same label, null for that photo itself. `conflict` is true if the same bytes are under two labels or more;
    #: such a photo can be a duplicate within its label as well.
    table: pa.Table
    hashes: pa.Table  #: Columns of `HASHES` or `ROW_HASHES`, for the next snapshot to recall.
    state: str  #: Fingerprint of all paths, sizes and versions.
    ignored: IgnoredSummary  #: Ignored entries of the folder, by reason.
    hashed: int  #: Number of files that were read; the hashes of the others were known.
    #: Likewise: all files, with those of excluded photos, but without those that a table gives no label.
    files: pa.Table
    corrected: CorrectedPhotos | None  #: The corrected photos; None without corrections.
    label_table: Mapping[str, Any] | None = None  #: Facts about the table of labels, see `describe_label_table`.
    labels_digest: str = ""  #: Hash of the bytes of the file of `--labels`; empty without one.
    given: GivenSplits | None = None  #: The splits that the dataset gives; None if they are drawn.
    split_folders: Mapping[str, str] = field(default_factory=dict)  #: Splits of the first folders, if they are splits.

    @property
    def photos(self) -> int:
        """Number of photos, including duplicates and conflicts."""
        return int(self.table.num_rows)

    @property
    def duplicates(self) -> int:
        """Number of photos that repeat another one of their label."""
        return self.photos - int(self.table["duplicate_of"].null_count)

    @property
    def conflicts(self) -> int:
        """Number of photos that are under another label too."""
        return int(pc.sum(self.table["conflict"], min_count=0).as_py())

    @property
    def labels(self) -> dict[str, int]:
        """Number of usable photos of each label."""
        return count_labels(self.table)

    @property
    def merged_labels(self) -> dict[str, list[str]]:
        """Folders of each label that has several, whose names differ only in their form of Unicode."""
        by_table = self.label_table and self.label_table.get("tables")
        if by_table or are_rows(self.table["path"].slice(0, 1).to_pylist()):
            return {}
        folders = defaultdict(list)
        for folder in sorted(pc.unique(label_folders(self.table["path"], self.split_folders)).to_pylist()):
            folders[to_label(folder)].append(folder)
        return {label: names for label, names in folders.items() if len(names) > 1}


def take_snapshot(
    root: AnyPath,
    known: pa.Table | None,
    progress: Progress,
    corrections: Corrections | None = None,
    labels: LabelSource = BESIDE,
) -> Snapshot:
    """Take a snapshot of a folder `<label>/**/<file>`, `<split>/<label>/**/<file>`, or with a table of labels.

    Or of Parquet files with a column of images. Nothing in the folder is changed.

    Files whose size and version are known are not read again. A file that vanishes meanwhile has no row; one that
    cannot be read has none either, is counted as ignored and logged.

    Args:
        root: The folder, or one Parquet file.
        known: Hashes that the last snapshot left, columns of `HASHES` or `ROW_HASHES`; None if there are none.
        progress: Advances by the files that are read.
        corrections: Corrections of labels; None if there are none.
        labels: The parameters that name a table of labels.

    Raises:
        DatasetError: The folder or one below it cannot be read, has more photos than a snapshot can, has two
            folders of the same split, or gives splits but no photos to train on; or a Parquet file is damaged, or has
            no images or labels.
        SettingError: A correction gives a label that no photo has, or the table of labels cannot be used.
    """
    moment_ns = time.time_ns()
    unread, folder = list_unread(root, by_table=bool(labels.file)), photos_root(root)
    listing, label_table = list_labelled(folder, unread, labels, known)
    if listing.is_parquet:
        photos = hash_photo_rows(folder, listing, label_table or labels.column, known, progress)
    else:
        photos = hash_photos(folder, listing, label_table, known, progress)
    labelled, hashed = photos.labelled, photos.hashed
    corrected = corrections.apply(labelled) if corrections else None
    settled = settle_splits(corrected.table if corrected else labelled)
    table = _mark_repeats(settled.table)
    key = _snapshot_key(table)
    hashes = drop_racy(hashed.table, listing.parquet_files if listing.is_parquet else listing.files, moment_ns)
    return Snapshot(
        key=key,
        table=table.cast(describe(SNAPSHOT, "snapshot", key, {})),
        hashes=hashes.cast(describe(hashes.schema, "snapshot", key, {})),
        state=unread.state(),
        ignored=listing.ignored.summarise(hashed.table["path"].to_pylist()),
        hashed=hashed.read,
        files=labelled if photos.has_table else hashed.table,
        corrected=corrected,
        label_table=photos.label_table,
        labels_digest=label_table.digest if label_table else "",
        given=settled.given,
        split_folders=photos.split_folders,
    )


def read_snapshot(root: DataRoot, key: str) -> pa.Table:
    """Read the table of a snapshot.

    Raises:
        DamagedError: The snapshot is missing or damaged.
    """
    path = root.snapshot(key)
    try:
        return pq.read_table(local(path), schema=SNAPSHOT, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as exc:
        raise DamagedError(
            path,
            f"The snapshot {path} cannot be read ({exc}). Delete it and the files of its dataset's dates beside it; "
            "the next run takes it again.",
        ) from exc


def usable(table: pa.Table) -> pa.Table:
    """Select the photos that training may use, sorted by sha256: no conflicts, and of duplicates the smallest path."""
    return table.filter(pc.and_not(pc.is_null(table["duplicate_of"]), table["conflict"])).sort_by("sha256")


def count_labels(table: pa.Table) -> dict[str, int]:
    """Count the usable photos of each label of a snapshot, 0 if all are conflicts; sorted by label."""
    counts = dict.fromkeys(sorted(pc.unique(table["label"]).to_pylist()), 0)
    for item in pc.value_counts(usable(table)["label"]).to_pylist():
        counts[item["values"]] = item["counts"]
    return counts


def invalidate_snapshot(manifest: AnyPath, changed: Sequence[str]) -> None:
    """Let the next run take the snapshot of a date again, and read changed files even if they look unchanged.

    The snapshot itself stays: the current run goes on with it, and so may a run whose source is unreachable.

    Args:
        manifest: Path of the snapshot's manifest for the date.
        changed: Paths of the changed files in the dataset.
    """
    drop_hashes(manifest.with_name("hashes.parquet"), changed)
    found = read_manifest(manifest)
    replace(found, details={**found.details, "state": INVALIDATED}).publish(manifest)


def _snapshot_key(table: pa.Table) -> str:
    """Key of a snapshot; without given splits it is that of earlier versions, which had none."""
    given = table["split"].null_count < table.num_rows
    columns = [table["path"], table["label"], table["sha256"], *([table["split"].fill_null("")] if given else [])]
    return fingerprint_rows(zip(*(column.to_pylist() for column in columns), strict=True))


def _mark_repeats(labelled: pa.Table) -> pa.Table:
    """Make the table of a snapshot, with its duplicates and conflicts, of labelled hashes sorted by path."""
    path, label = (labelled[name].combine_chunks() for name in ("path", "label"))
    content, _ = _encode(labelled["sha256"])
    label_code, labels = _encode(label)
    pairs, first, pair = np.unique(content * labels + label_code, return_index=True, return_inverse=True)
    labels_of_content = np.bincount(pairs // labels)
    original = first[pair]
    duplicate_of = path.take(pa.array(original, mask=original == np.arange(len(path))))
    conflict = pa.array(labels_of_content[content] > 1)
    columns = [labelled["sha256"], path, label, labelled["bytes"], duplicate_of, conflict, labelled["split"]]
    return pa.table(columns, schema=SNAPSHOT)


def _encode(values: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Number distinct values from 0; returns the numbers, int64 [N], and the count of distinct values."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = array.dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary)
