"""Lists, hashes and labels the photos of a dataset: files in folders or with a table of labels, or Parquet rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.snapshot.hashes import HASHES, Hashed, hash_files, recall, tabulate_files
from tasks.snapshot.listing import Listing, PhotoFile
from tasks.snapshot.parquet.photo_rows import hash_rows
from tasks.snapshot.parquet.row_paths import row_key, row_name
from tasks.snapshot.photo_rules import OUTSIDE, UNREADABLE
from tasks.snapshot.sizes import check_size
from tasks.snapshot.split_folders import find_split_folders, is_labelled, label_by_folder
from tasks.snapshot.tables.label_tables import LabelSource, LabelTable, find_label_table
from tasks.snapshot.walk import read_unclear


@dataclass(frozen=True, eq=False)
class HashedPhotos:
    """The photos of a dataset, with their hashes, labels and splits."""

    labelled: pa.Table  #: Columns of `HASHES`, `label` and `split`, as the dataset gives it: all photos with a label.
    label_table: Mapping[str, Any] | None  #: Facts about the table of labels, see `describe_label_table`.
    hashed: Hashed  #: All hashes; for Parquet files columns of `ROW_HASHES`.
    has_table: bool = False  #: Whether a table gives the labels.
    split_folders: Mapping[str, str] = field(default_factory=dict)  #: Splits of the first folders, if they are splits.


def list_labelled(
    root: AnyPath, unread: Listing, labels: LabelSource, known: pa.Table | None
) -> tuple[Listing, LabelTable | None]:
    """List the photos that may have a label, and read the table of labels, if there is one; see `find_label_table`.

    Parquet files hold their labels themselves, unless `labels` names a table.
    """
    table = find_label_table(root, unread, labels) if labels.file or not unread.is_parquet else None
    listing = unread if table and table.names else unread.inside_folders()
    if listing.unclear:
        keys = recall(tabulate_files(listing.unclear), known)
        listing = read_unclear(root, listing, {file for file, key in zip(listing.unclear, keys, strict=True) if key})
    return listing.settle(), table


def select_labelled(listing: Listing, table: LabelTable | None, splits: Mapping[str, str]) -> Sequence[PhotoFile]:
    """Select the photos that get a label by a table, or by their folders."""
    if table is not None and table.names:
        return table.select(listing.files)
    return [file for file in listing.files if is_labelled(file.path, splits)]


def hash_photos(
    root: AnyPath, listing: Listing, table: LabelTable | None, known: pa.Table | None, progress: Progress
) -> HashedPhotos:
    """Hash and label the photos in files; those that are left out become ignored ones of the listing.

    Args:
        root: Folder of the files.
        listing: The files.
        table: The table of labels; None if folders give them.
        known: Hashes that the last snapshot left; None if there are none.
        progress: Advances by the files that are read.

    Raises:
        DatasetError: The photos are too many, two folders are the same split, or the store does not answer.
    """
    paths = [file.path for file in listing.files]
    check_size(root, len(paths), sum(len(path.encode()) for path in paths))
    has_table = table is not None and bool(table.names)
    splits = {} if has_table else find_split_folders(paths)
    files = select_labelled(listing, table, splits)
    if not has_table:
        for path in sorted(set(paths) - {file.path for file in files}):
            listing.ignored.add(path, OUTSIDE)
    hashed = hash_files(root, files, known, progress)
    for path in hashed.unreadable:
        listing.ignored.add(path, UNREADABLE)
    if table is not None and has_table:
        return HashedPhotos(*table.label(hashed.table), hashed=hashed, has_table=True)
    unused = {"unused": table.unused} if table else None
    return HashedPhotos(label_by_folder(hashed.table, splits), unused, hashed, split_folders=splits)


def hash_photo_rows(
    root: AnyPath, listing: Listing, labels: LabelTable | str, known: pa.Table | None, progress: Progress
) -> HashedPhotos:
    """Hash and label the photos in rows of Parquet files; see `hash_photos`.

    A table of labels names them by their paths, by the names of their images, or by their sha256; an image that is
    called by a sha256, as in the store of the decode stage, by that one too.

    Args:
        root: Folder of the files.
        listing: The files.
        labels: The table of labels, or the name of the column of labels in the files; see `hash_rows`.
        known: Rows that the last snapshot left; None if there are none.
        progress: Advances by the rows that are read.

    Raises:
        DatasetError: As of `hash_rows`, or no row of the table names a photo.
    """
    column = labels if isinstance(labels, str) else None
    rows = hash_rows(root, listing.parquet_files, known, progress, column)
    for path, reason in rows.ignored:
        listing.ignored.add(path, reason)
    photos, hashed = rows.photos, Hashed(rows.known, rows.read, ())
    if isinstance(labels, str):
        return HashedPhotos(photos.filter(photos["label"].is_valid()), None, hashed)
    called = row_key if labels.by_content else row_name
    names = pa.array([called(path) for path in photos["path"].to_pylist()], pa.string())
    labelled, told = labels.label(photos.select(HASHES.names), names)
    if labelled["split"].null_count == labelled.num_rows:
        own = photos["split"].take(pc.index_in(labelled["path"], value_set=photos["path"].combine_chunks()))
        labelled = labelled.set_column(labelled.column_names.index("split"), "split", own)
    return HashedPhotos(labelled, told, hashed, has_table=True)
