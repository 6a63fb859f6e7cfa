"""Labels and splits from tables: `metadata.csv`, `.jsonl` or `.parquet` beside the photos, or a file elsewhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DatasetError, SettingError, first_of
from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath, to_path
from tasks.snapshot.class_labels import tidy_texts
from tasks.snapshot.given_splits import to_split
from tasks.snapshot.listing import Listing, PhotoFile
from tasks.snapshot.photo_io import read_photo
from tasks.snapshot.tables.table_files import MAX_BYTES, TableError, column_names, read_texts
from tasks.snapshot.walk import unreachable_store
from tasks.storage.remote_listing import StoreUnreachableError

#: Columns that name a photo; of several in a table, the first counts.
_BESIDE, _ELSEWHERE = ("file_name", "path"), ("file_name", "sha256", "path")
_LABEL, _SPLIT = "label", "split"
#: Photos and rows that a run names, and columns in an error.
_NAMED, _NAMED_COLUMNS = 3, 20
_ROWS = pa.schema([(name, pa.string()) for name in ("key", "label", "split")])


class LabelSource(NamedTuple):
    """The parameters that name a table."""

    file: str = ""  #: A table elsewhere, `--labels`; empty for those beside the photos.
    column: str = ""  #: The column of the labels, `--label-column`; empty for `label`.


#: No table is named: those beside the photos count.
BESIDE = LabelSource()


class TableLabels(NamedTuple):
    """Photos with the labels and splits of a table."""

    table: pa.Table  #: The hashes of photos that have a label, with the columns `label` and `split`.
    details: dict[str, Any]  #: Counts and examples for a manifest; see `describe_label_table`.


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The rows of all tables of a dataset."""

    names: Sequence[str]  #: The tables, relative to the dataset's folder; or that of `--labels`.
    digest: str  #: Hash of the bytes of the file of `--labels`; empty without one.
    by_content: bool  #: Whether the rows name photos by their sha256, and not by their paths.
    rows: pa.Table  #: Columns `key`, `label` and `split`, null or one of `SPLITS`: path or sha256, and label.
    unused: Sequence[str] = ()  #: Other tables, and why they give no labels.
    #: The listed photos that have no row; all photos if the rows name photos by their sha256.
    without_row: list[str] = field(default_factory=list)

    def select(self, files: Sequence[PhotoFile]) -> list[PhotoFile]:
        """Select the photos that have to be read: those with a label, or all if the rows name photos by their sha256.

        Raises:
            DatasetError: No row names a photo.
        """
        if self.by_content:
            return list(files)
        found = self._places(pa.array([file.path for file in files], pa.string())) >= 0
        self.without_row[:] = [file.path for file, known in zip(files, found, strict=True) if not known]
        return [file for file, known in zip(files, found, strict=True) if known]

    def label(self, hashes: pa.Table, names: pa.Array | None = None) -> TableLabels:
        """Label photos; one with two labels in the table has two rows then, which makes it a conflict.

        Args:
            hashes: The photos, columns of `HASHES`.
            names: Other keys of the photos, null where there is none; None if they have only their own.

        Raises:
            DatasetError: No row names a photo.
        """
        column = "sha256" if self.by_content else "path"
        places = self._places(hashes[column].combine_chunks())
        if names is not None:
            places = np.where(places < 0, self._places(names), places)
        without = [*self.without_row, *hashes["path"].filter(pa.array(places < 0)).to_pylist()]
        keys = self._keys()
        unmatched = keys.filter(pa.array(np.bincount(places[places >= 0], minlength=len(keys)) == 0)).to_pylist()
        if len(unmatched) == len(keys) and without:
            raise DatasetError(
                f"{self._named()} has {self.rows.num_rows:,} rows, and none of them names a photo of the dataset: the "
                f"rows name {first_of(list(map(repr, unmatched)), _NAMED)}, and the photos are "
                f"{first_of(list(map(repr, sorted(without))), _NAMED)}. Name the photos relative to the folder of the "
                "table, or of the dataset with --labels; or rename the file if it is not for labels."
            )
        found = hashes.append_column("key", keys.take(pa.array(places, mask=places < 0)))
        distinct = self.rows.group_by(_ROWS.names).aggregate([])
        joined = found.filter(found["key"].is_valid()).join(distinct, "key", join_type="inner").drop_columns("key")
        labelled = joined.filter(joined["label"].is_valid()).sort_by([("path", "ascending"), ("label", "ascending")])
        empty = pc.unique(joined["path"].filter(joined["label"].is_null()))
        unlabelled = empty.filter(pc.invert(pc.is_in(empty, labelled["path"].combine_chunks()))).to_pylist()
        details = {
            "tables": list(self.names),
            "rows": self.rows.num_rows,
            "unused": list(self.unused),
            **_counted("photos_without_row", without),
            **_counted("photos_without_label", unlabelled),
            **_counted("rows_without_photo", unmatched),
        }
        return TableLabels(_split_by_folder(labelled), details)

    def _named(self) -> str:
        return first_of(list(self.names), _NAMED)

    def _keys(self) -> pa.Array:
        return pc.unique(self.rows["key"])

    def _places(self, photos: pa.Array) -> npt.NDArray[np.int64]:
        """Find the key of each photo among `_keys`, int64 [N], -1 if there is none: letter by letter, or else alike."""
        keys = self._keys()
        found = pc.index_in(photos, value_set=keys)
        if not self.by_content:
            found = pc.coalesce(found, pc.index_in(_plain(photos), value_set=_plain(keys)))
        return np.asarray(pc.fill_null(found, -1)).astype(np.int64)


def find_label_table(root: AnyPath, listing: Listing, source: LabelSource) -> LabelTable | None:
    """Read the table of `--labels`, or those beside the photos, which are left out if they give no labels.

    Args:
        root: The folder of the dataset.
        listing: Its photos and tables.
        source: The parameters that name the table.

    Returns:
        The rows; None where there is no table. A table without rows, with the reasons in `unused`, gives no labels.

    Raises:
        SettingError: The file of `--labels`, or the column, cannot be used.
        DatasetError: A table beside the photos is damaged.
    """
    if source.file:
        return _read_given(source)
    tables, unused = [], []
    for table in listing.label_tables:
        try:
            tables.append((table.path, _read_beside(root, table.path, source.column)))
        except _NoLabelsError as exc:
            unused.append(f"{table.path} {exc}")
    if source.column and not tables:
        raise SettingError(
            f"--label-column {source.column}: no table beside the photos has it. "
            f"{' '.join(f'{each}.' for each in unused) or 'There is no metadata.csv, .jsonl or .parquet.'} Correct the "
            "name, or give a table with --labels."
        )
    if not tables and not unused:
        return None
    rows = pa.concat_tables([_ROWS.empty_table(), *(rows for _, rows in tables)])
    return LabelTable([name for name, _ in tables], "", by_content=False, rows=rows, unused=unused)


def gives_labels(folder: AnyPath, name: str, column: str) -> bool:
    """Whether a file is a table that gives labels to the photos of its folder; a damaged one counts too."""
    try:
        _choose(column_names(name, read_photo(folder / name, MAX_BYTES)), column, _BESIDE)
    except _NoLabelsError:
        return False
    except (OSError, TableError):
        return True
    return True


class _NoLabelsError(Exception):
    """A table is none of labels; the message ends a sentence that begins with its name."""


def _read_beside(root: AnyPath, name: str, column: str) -> pa.Table:
    try:
        return _read(name, read_photo(root / name, MAX_BYTES), column, _BESIDE)[1]
    except TableError as exc:
        raise DatasetError(f"The table {root / name} {exc} Mend it, or rename it if it is not for labels.") from exc
    except StoreUnreachableError as exc:
        raise unreachable_store(exc) from exc
    except OSError as exc:
        raise DatasetError(
            f"The table {root / name} cannot be read ({exc.strerror or exc}). Mend its permissions (chmod u+r)."
        ) from exc


def _read_given(source: LabelSource) -> LabelTable:
    try:
        data = read_photo(to_path(source.file), MAX_BYTES)
        by_content, rows = _read(source.file, data, source.column, _ELSEWHERE)
    except (_NoLabelsError, TableError) as exc:
        raise SettingError(f"--labels {source.file} {str(exc).removesuffix('.')}. Correct it.") from exc
    except OSError as exc:
        raise SettingError(
            f"--labels {source.file} cannot be read ({exc.strerror or exc}). Give a CSV, JSON lines or Parquet file "
            "with the columns file_name and label."
        ) from exc
    return LabelTable([source.file], hashlib.sha256(data).hexdigest()[:KEY_LENGTH], by_content, rows)


def _read(name: str, data: bytes, column: str, keys: Sequence[str]) -> tuple[bool, pa.Table]:
    """Read the rows of a table that name a photo; returns also whether they do so by its sha256."""
    if len(data) > MAX_BYTES:
        raise TableError(f"has more than {MAX_BYTES:,} bytes. Leave out columns, or make several datasets of it.")
    columns = column_names(name, data)
    key, label = _choose(columns, column, keys)
    wanted = list(dict.fromkeys([key, label, *({_SPLIT} & set(columns))]))
    texts = read_texts(name, data, wanted)
    rows = pa.table([_texts(texts, each) for each in (key, label, _SPLIT)], _ROWS)
    if _SPLIT in wanted:
        rows = rows.set_column(2, _SPLIT, _splits(rows[_SPLIT]))
    rows = rows.filter(rows["key"].is_valid())
    if not rows.num_rows:
        raise TableError("has no rows that name a photo.")
    if key == "sha256":
        return True, rows.set_column(0, "key", pc.utf8_lower(rows["key"]))
    folder, _, _ = name.rpartition("/")
    if keys is _ELSEWHERE or not folder:
        return False, rows
    split = pc.fill_null(rows[_SPLIT], pa.scalar(to_split(folder), pa.string()))
    prefixed = pc.binary_join_element_wise(folder, rows["key"], "/")
    return False, pa.table([prefixed, rows["label"], split], _ROWS)


def _choose(columns: Sequence[str], label: str, keys: Sequence[str]) -> tuple[str, str]:
    """Choose the columns that name a photo and its label."""
    if not columns:
        raise TableError("has no columns.")
    listed = first_of(list(map(repr, columns)), _NAMED_COLUMNS)
    key = next((name for name in keys if name in columns), None)
    if key is None:
        raise _NoLabelsError(f"has none of the columns {', '.join(keys)}, which name a photo; it has {listed}")
    if (label or _LABEL) not in columns:
        raise _NoLabelsError(f"has no column {label or _LABEL} (--label-column names another one); it has {listed}")
    return key, label or _LABEL


def _texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column without white space at its ends, in Unicode's form NFC unless it names a file; empty is null."""
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    text = table[name]
    return pc.if_else(pc.equal(text, ""), None, text) if name in _ELSEWHERE else tidy_texts(text)


def _splits(raw: pa.ChunkedArray) -> pa.Array:
    """Map the names of splits to those of the project."""
    encoded = raw.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    splits = list(map(to_split, names))
    if unknown := [name for name, split in zip(names, splits, strict=True) if split is None]:
        raise TableError(
            f"has in the column split {first_of(list(map(repr, unknown)), _NAMED)}; train, validation and test are "
            "known, and their usual names. Rename the column if it means something else."
        )
    return pa.array(splits, pa.string()).take(encoded.indices)


def _plain(names: pa.Array) -> pa.Array:
    """Names of files as systems may write them differently: in NFC, with `/`, without `./`."""
    slashed = pc.replace_substring(pc.utf8_normalize(names, form="NFC"), "\\", "/")
    return pc.replace_substring_regex(slashed, r"(^|/)(\./+)+", r"\1")


def _split_by_folder(labelled: pa.Table) -> pa.Table:
    """Fill in the splits of the first folders if no row gives a split, and all first folders are called by splits."""
    if labelled["split"].null_count < labelled.num_rows:
        return labelled
    first = pc.list_element(pc.split_pattern(labelled["path"], "/", max_splits=1), 0).combine_chunks()
    encoded = first.dictionary_encode()
    splits = [to_split(name) for name in encoded.dictionary.to_pylist()]
    if None in splits:
        return labelled
    given = pa.array(splits, pa.string()).take(encoded.indices)
    return labelled.set_column(labelled.column_names.index("split"), "split", given)


def _counted(name: str, paths: Sequence[str]) -> dict[str, Any]:
    return {name: len(paths), f"{name}_examples": sorted(paths)[:_NAMED]}
