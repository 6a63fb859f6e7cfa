"""The photos of Parquet files: their hashes, labels and splits; rows of unchanged files are recalled, and not read."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.concurrency import map_ordered
from tasks.errors import DatasetError
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.snapshot import photo_rules as rules
from tasks.snapshot.class_labels import LabelTypeError, class_names, label_texts, tidy_texts
from tasks.snapshot.given_splits import to_split
from tasks.snapshot.hashes import ROW_HASHES
from tasks.snapshot.listing import PhotoFile
from tasks.snapshot.parquet.image_files import ImageFile, NoImageColumnError, describe_columns, images_of, names_of
from tasks.snapshot.parquet.row_paths import file_of, row_path
from tasks.snapshot.sizes import check_size
from tasks.snapshot.walk import unreachable_store
from tasks.storage.files import storage_at
from tasks.storage.remote_listing import StoreUnreachableError

#: Increase this when the same Parquet file gives other rows; they are then read again.
_CODE_VERSION = 1
#: Names of the column of labels that are tried if none is given.
LABEL_COLUMNS = ("label", "labels")
_SPLIT_COLUMN = "split"
#: Row groups that are read at once from an object store, and the bytes of those in memory.
_REQUESTS, _GROUP_BYTES = 8, 2**28
#: The number of a shard after its split: `-00000-of-00002`, also with the hash of an old version of Hugging Face's hub.
_NUMBER = re.compile(r"[-_.]?\d+([-_]of[-_]\d+)?(-[0-9a-f]{16})?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class HashedRows:
    """The rows of Parquet files."""

    photos: pa.Table  #: Columns of `ROW_HASHES`, a row each that has an image, with a label or without; sorted by path.
    #: The same of all rows, for the next snapshot to recall; a row without an image has an empty `sha256`.
    known: pa.Table
    read: int  #: Number of rows that were read.
    ignored: tuple[tuple[str, str], ...]  #: Paths of rows without an image or a label, with the reason.


def hash_rows(
    root: AnyPath, files: Sequence[PhotoFile], known: pa.Table | None, progress: Progress, label_column: str | None = ""
) -> HashedRows:
    """Hash the images in Parquet files, and read their labels; rows of files whose version is known are recalled.

    A label is text or a number; that of a class becomes its name in the metadata of Hugging Face. A split is that
    of the column `split`, or else of the file's name or folder: `train-00000-of-00002.parquet`, `train/0.parquet`.
    Nothing is requested for recalled files. A file that vanished has no rows.

    Args:
        root: Folder of the files.
        files: The files.
        known: Rows that the last snapshot left, columns of `ROW_HASHES`; None, or other columns, if there are none.
        progress: Advances by the rows that are read.
        label_column: Name of the column of labels; empty for `label` or `labels`, None for no labels.

    Raises:
        DatasetError: A file is damaged or has no column of images or labels, or the store does not answer.
    """
    recalled, missing = recall_rows(files, known, label_column)
    with _store_reached():
        opened = map_ordered(partial(_open, root, label_column), missing, _threads(root))
        sources = [source for source in opened if source]
        check_size(root, sum(source.rows for source in sources) + recalled.num_rows)
        read = list(_read_sources(root, sources, progress))
    table = pa.concat_tables([recalled, *read]).combine_chunks()
    has_image = pc.not_equal(table["sha256"], "")
    photos = table.filter(has_image).sort_by("path")
    without_image = [(path, rules.NO_IMAGE) for path in table["path"].filter(pc.invert(has_image)).to_pylist()]
    if without_image and not photos.num_rows:
        raise DatasetError(
            f"None of the {table.num_rows:,} rows of the Parquet files in {root} has an image in it, such as "
            f"{without_image[0][0]}: they only name files elsewhere. Write them with the images embedded."
        )
    no_label: list[tuple[str, str]] = []
    if label_column is not None:
        _check_labelled(root, sources, photos)
        no_label = [(path, rules.NO_LABEL) for path in photos["path"].filter(photos["label"].is_null()).to_pylist()]
    return HashedRows(photos, table, sum(each.num_rows for each in read), tuple(without_image + no_label))


def recall_rows(
    files: Sequence[PhotoFile], known: pa.Table | None, label_column: str | None = ""
) -> tuple[pa.Table, list[PhotoFile]]:
    """Find the known rows of files, columns of `ROW_HASHES`, and the files that have to be read."""
    if known is None or not known.schema.equals(ROW_HASHES):
        return ROW_HASHES.empty_table(), list(files)
    wanted = {(file.path, _version(file, label_column)): file for file in files}
    rows = zip(known["path"].to_pylist(), known["version"].to_pylist(), strict=True)
    keys = [(file_of(path), version) for path, version in rows]
    found = set(keys)
    return known.filter(pa.array([key in wanted for key in keys], pa.bool_())), [
        file for key, file in wanted.items() if key not in found
    ]


def count_rows(root: AnyPath, files: Sequence[PhotoFile]) -> int:
    """Count the rows of Parquet files by what their ends say; errors are those of `hash_rows`."""
    with _store_reached():
        return sum(source.rows for source in (_open(root, "", file) for file in files) if source)


def given_split(path: str) -> str | None:
    """Find the split that the name of a Parquet file gives its rows, or else one of its folders, the nearest first."""
    *folders, name = path.split("/")
    stem = _NUMBER.sub("", name.rpartition(".")[0])
    # As in `cifar10-train-00000-of-00001`.
    names = [stem, re.split("[-_.]", stem)[-1], *reversed(folders)]
    return next((split for split in map(to_split, names) if split), None)


@dataclass(frozen=True)
class _Source:
    """A Parquet file to read."""

    file: PhotoFile  #: The file.
    metadata: pq.FileMetaData  #: Its end.
    schema: pa.Schema  #: Its columns.
    version: str  #: Version of its rows; see `_version`.
    label: str | None  #: Name of the column of labels, if it has one.
    starts: Sequence[int]  #: Numbers of the first row of each row group, and of the rows in all.

    @property
    def rows(self) -> int:
        """Number of its rows."""
        return int(self.metadata.num_rows)


def _version(file: PhotoFile, label_column: str | None) -> str:
    """Version of the rows of a file: its own, and that of the way in which they are read."""
    return f"{file.version} {_CODE_VERSION} {label_column}"


def _threads(root: AnyPath) -> int:
    return _REQUESTS if storage_at(root).reads_are_requests else available_cores()


@contextmanager
def _store_reached() -> Iterator[None]:
    try:
        yield
    except StoreUnreachableError as exc:
        raise unreachable_store(exc) from exc


def _open(root: AnyPath, label_column: str | None, file: PhotoFile) -> _Source | None:
    try:
        opened = ImageFile(root / file.path, file.size)
    except FileNotFoundError:
        return None
    except NoImageColumnError as exc:
        # Beside the pictures of the decode stage lies its list of photos without one.
        if (exc.schema.metadata or {}).get(b"stage") == b"decode":
            return None
        raise
    except OSError as exc:
        raise DatasetError(
            f"{root / file.path} cannot be read ({exc.strerror or exc}). Mend its permissions, or move it away."
        ) from None
    opened.close()
    names = LABEL_COLUMNS if label_column == "" else [label_column] if label_column else []
    label = next((name for name in names if opened.schema.get_field_index(name) >= 0), None)
    return _Source(file, opened.metadata, opened.schema, _version(file, label_column), label, opened.group_starts())


def _read_sources(root: AnyPath, sources: Sequence[_Source], progress: Progress) -> Iterator[pa.Table]:
    """Read the row groups of files in threads, in their order."""
    if sources:
        progress.start(sum(source.rows for source in sources), "photo")
    groups = [(source, number) for source in sources for number in range(source.metadata.num_row_groups)]

    def weigh(group: tuple[_Source, int]) -> int:
        return min(int(group[0].metadata.row_group(group[1]).total_byte_size), _GROUP_BYTES // 4)

    for table in map_ordered(partial(_read_group, root), groups, _threads(root), weigh, _GROUP_BYTES):
        progress.advance(table.num_rows)
        yield table


def _read_group(root: AnyPath, group: tuple[_Source, int]) -> pa.Table:
    source, number = group
    opened = ImageFile(root / source.file.path, source.file.size, source.metadata)
    try:
        column = opened.column
        split = _SPLIT_COLUMN if source.schema.get_field_index(_SPLIT_COLUMN) >= 0 else None
        wanted = [name for name in (column.bytes, column.path, source.label, split) if name]
        first = source.starts[number]
        rows: dict[str, list[Any]] = defaultdict(list)
        texts: dict[str, list[pa.Array]] = {name: [] for name in (source.label, split) if name}
        for batch in opened.read_group(number, wanted):
            for image, name in zip(images_of(batch, column), names_of(batch, column), strict=True):
                rows["path"].append(row_path(source.file.path, first + len(rows["path"]), name))
                data = image.as_buffer() if image.is_valid else None
                rows["bytes"].append(data.size if data else 0)
                rows["sha256"].append(hashlib.sha256(data).hexdigest() if data else "")
            for text, pieces in texts.items():
                pieces.append(batch.column(text))
        with opened.intact():
            read = {text: _read_texts(opened, text, pieces) for text, pieces in texts.items()}
    finally:
        opened.close()
    return _tabulate(source, rows, read.get(source.label or ""), read.get(split or ""))


def _tabulate(
    source: _Source, rows: Mapping[str, list[Any]], labels: pa.ChunkedArray | None, splits: pa.ChunkedArray | None
) -> pa.Table:
    count = len(rows["path"])
    given = [given_split(source.file.path)] * count
    if splits is not None:
        given = [to_split(name) if name else None for name in splits.to_pylist()]
    label = pa.nulls(count, pa.string()) if labels is None else labels
    columns = {**rows, "version": [source.version] * count, "label": label, "split": given}
    return pa.table({name: columns[name] for name in ROW_HASHES.names}, ROW_HASHES)


def _read_texts(opened: ImageFile, name: str, pieces: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Read a column of labels or splits as text, null where it is empty.

    Raises:
        DatasetError: It holds no labels.
    """
    column = pa.chunked_array(pieces, opened.schema.field(name).type)
    try:
        texts = label_texts(column, class_names(opened.schema, name))
    except LabelTypeError as exc:
        raise DatasetError(
            f"The column {name!r} of {opened.path} holds {exc}. Give another one by --label-column: "
            f"{describe_columns(opened.schema)}."
        ) from exc
    texts.validate(full=True)
    texts = tidy_texts(texts)
    if pc.any(pc.match_substring_regex(texts, r"[[:cntrl:]]")).as_py():
        raise DatasetError(f"The column {name!r} of {opened.path} has a label with a control character. Remove it.")
    return texts


def _check_labelled(root: AnyPath, sources: Sequence[_Source], photos: pa.Table) -> None:
    """Refuse photos none of which has a label."""
    if photos["label"].null_count < photos.num_rows or not sources:
        return
    raise DatasetError(
        f"None of the photos in the Parquet files in {root} has a label. {sources[0].file.path} has "
        f"{describe_columns(sources[0].schema)}. Name that of the labels by --label-column, or give a table of labels "
        "with --labels."
    )
