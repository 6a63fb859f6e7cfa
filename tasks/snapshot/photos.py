"""A snapshot: one row a photo, with what is the same as what, keyed by its content."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.schemas import SNAPSHOT, describe
from tasks.snapshot.hashes import HASHES, drop_racy, hash_files, recalled_files
from tasks.snapshot.ignored import UNREADABLE, IgnoredSummary
from tasks.snapshot.labels import to_label
from tasks.snapshot.listing import Listing, fingerprint_rows
from tasks.snapshot.object_walk import look_into
from tasks.snapshot.split_folders import check_split_folders
from tasks.snapshot.walk import list_unread
from tasks.storage.errors import DamagedError
from tasks.storage.files import local
from tasks.storage.layout import DataRoot

_NAMED = 10
#: Bytes of text that an arrow array has at most.
COLUMN_BYTES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A dataset's photos at one moment.

    Args:
        key: The version of the dataset: first 16 hex digits of the sha256 over its sorted (path, label, sha256) rows.
        table: Columns of `SNAPSHOT`, sorted by path. `label` is the name of the first folder in Unicode's form NFC;
            `path` is as the file has it. `duplicate_of` is the smallest path with the same bytes under the same label,
            null for that photo itself. `conflict` is true where the same bytes stand under two labels or more; such a
            photo can be a duplicate within its own label as well.
        hashes: Columns of `HASHES`, for the next snapshot to recall.
        state: Fingerprint of all paths, sizes and versions: whether the source looks as it did.
        ignored: Entries of the folder that were left out, by reason.
        hashed: How many files were read; the hashes of the others were known.
    """

    key: str
    table: pa.Table
    hashes: pa.Table
    state: str
    ignored: IgnoredSummary
    hashed: int

    @property
    def photos(self) -> int:
        """How many photos there are, duplicates and conflicts among them."""
        return int(self.table.num_rows)

    @property
    def duplicates(self) -> int:
        """How many photos repeat another one of their label."""
        return self.photos - int(self.table["duplicate_of"].null_count)

    @property
    def conflicts(self) -> int:
        """How many photos stand under another label too."""
        return int(pc.sum(self.table["conflict"], min_count=0).as_py())

    @property
    def labels(self) -> dict[str, int]:
        """How many usable photos each label has."""
        return count_labels(self.table)

    @property
    def merged_labels(self) -> dict[str, list[str]]:
        """The folders of each label that several folders make, whose names differ only in their form of Unicode."""
        folders = defaultdict(list)
        for folder in sorted(pc.unique(_first_folder(self.table["path"])).to_pylist()):
            folders[to_label(folder)].append(folder)
        return {label: names for label, names in folders.items() if len(names) > 1}


def take_snapshot(root: AnyPath, known: pa.Table | None, progress: Progress, archive: str = "") -> Snapshot:
    """Take a snapshot of a folder `<label>/**/<file>`.

    Files whose size and version are known are not read again. A file that vanishes meanwhile is left out, and one that
    cannot be read is left out, counted as ignored and logged.

    Args:
        root: The dataset's folder; nothing in it is changed.
        known: The `hashes` of the last snapshot of the same folder, or None.
        progress: Told of the photos that are hashed.
        archive: What the folder was extracted from, for people; empty where the dataset is a folder.

    Raises:
        DatasetError: The folder or one below it cannot be read, has more photos than a snapshot can, or is divided into
            splits, which are no labels.
    """
    moment_ns = time.time_ns()
    listing = list_unread(root)
    if listing.unclear:
        listing = look_into(root, listing, recalled_files(listing.unclear, known))
    _check_size(root, listing)
    check_split_folders([file.path for file in listing.files], root, archive)
    hashed = hash_files(root, listing.files, known, progress)
    for path in hashed.unreadable_paths:
        listing.ignored.add(path, UNREADABLE)
    unreadable = set(hashed.unreadable_paths)
    table = _compare(hashed.table)
    key = fingerprint_rows(zip(*(table[name].to_pylist() for name in ("path", "label", "sha256")), strict=True))
    hashes = drop_racy(hashed.table, listing.files, moment_ns)
    return Snapshot(
        key=key,
        table=table.cast(describe(SNAPSHOT, "snapshot", key, {})),
        hashes=hashes.cast(describe(HASHES, "snapshot", key, {})),
        state=listing.state(),
        ignored=listing.ignored.summarise(file.path for file in listing.files if file.path not in unreadable),
        hashed=hashed.read,
    )


def _check_size(root: AnyPath, listing: Listing) -> None:
    """Refuse more photos than one column of a table holds the hashes of, or the paths, before any is read."""
    hashes, paths = 64 * len(listing.files), sum(len(file.path.encode()) for file in listing.files)
    if max(hashes, paths) > COLUMN_BYTES:
        raise DatasetError(
            f"The dataset {root} has {len(listing.files):,} photos, with paths of {paths:,} bytes. It can have "
            f"{COLUMN_BYTES // 64:,}, with paths of {COLUMN_BYTES:,} bytes in all: make several datasets of it."
        )


def read_snapshot(root: DataRoot, key: str) -> pa.Table:
    """Read a snapshot's table.

    Raises:
        DamagedError: There is none of that key, or it is damaged.
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
    """Keep the photos that training may use: no conflicts, and of duplicates the one with the smallest path.

    Args:
        table: A snapshot's.

    Returns:
        Its rows in which each sha256 stands once, sorted by sha256.
    """
    return table.filter(pc.and_not(pc.is_null(table["duplicate_of"]), table["conflict"])).sort_by("sha256")


def count_labels(table: pa.Table) -> dict[str, int]:
    """Count each label's usable photos, 0 where all are conflicts; sorted by label.

    Args:
        table: A snapshot's.
    """
    counts = dict.fromkeys(sorted(pc.unique(table["label"]).to_pylist()), 0)
    for item in pc.value_counts(usable(table)["label"]).to_pylist():
        counts[item["values"]] = item["counts"]
    return counts


def check_labels(counts: Mapping[str, int], least: int = 3, ignored: IgnoredSummary | None = None) -> None:
    """Refuse a dataset that no head can be trained on, before any work is done.

    Args:
        counts: Usable photos of each label.
        least: How many each must have; three, since each split needs one.
        ignored: What was left out, which the error names.

    Raises:
        DatasetError: There are fewer than two labels, or labels with too few photos, which are named.
    """
    explained = ignored.explain() if ignored else ""
    if len(counts) < 2:
        found = ", ".join(f"only the label {label!r} with photos: {count}" for label, count in counts.items())
        raise DatasetError(
            f"The dataset has {found or 'no photos in folders'}, and a classifier needs two labels at least. Give a "
            f"folder that holds one folder a label with its photos inside: <dataset>/<label>/<photo>.jpg.{explained}"
        )
    small = [f"{label!r} ({count})" for label, count in counts.items() if count < least]
    if small:
        more = f" and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        raise DatasetError(
            f"Labels with fewer than {least} usable photos: {', '.join(small[:_NAMED])}{more}. Add photos to them or "
            f"move their folders out of the dataset; duplicates, and photos under two labels, do not count.{explained}"
        )


def _compare(hashes: pa.Table) -> pa.Table:
    """Make a snapshot's table of hashes that are sorted by path."""
    path = hashes["path"].combine_chunks()
    label = pc.utf8_normalize(_first_folder(path), form="NFC")
    content, _ = _encode(hashes["sha256"])
    label_code, labels = _encode(label)
    pairs, first, pair = np.unique(content * labels + label_code, return_index=True, return_inverse=True)
    labels_of_content = np.bincount(pairs // labels)
    original = first[pair]
    repeats = original != np.arange(len(path))
    return pa.table(
        [
            hashes["sha256"],
            path,
            label,
            hashes["bytes"],
            path.take(pa.array(original, mask=~repeats)),
            pa.array(labels_of_content[content] > 1),
        ],
        schema=SNAPSHOT,
    )


def _first_folder(path: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.list_element(pc.split_pattern(path, "/", max_splits=1), 0)


def _encode(values: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Number distinct values from 0; returns the numbers, int64 [N], and how many distinct ones there are."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = array.dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), len(encoded.dictionary)
