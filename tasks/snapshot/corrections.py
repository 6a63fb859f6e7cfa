"""Corrections: a CSV file that gives photos other labels, or excludes them; the photos themselves stay as they are."""

import csv
import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import SettingError, first_of
from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath
from tasks.snapshot.labels import to_label
from tasks.snapshot.tables.csv_rows import open_csv
from tasks.storage.files import read_bytes

_KEYS = ("sha256", "path")
_COLUMNS = "Give a CSV file with the columns sha256 or path, and label; an empty label excludes the photo."
#: Lines without a photo that a run names, and labels in an error.
_NAMED = 5


class Correction(NamedTuple):
    """The correction of a photo."""

    line: int  #: Number of its line in the file.
    sha256: str  #: Key of the photo; empty if the path names it.
    path: str  #: Path of the photo in the dataset; of no effect beside a key.
    label: str  #: Its label; empty to exclude the photo.

    def names(self, column: str) -> bool:
        """Whether this column names the photo."""
        return bool(self.sha256 if column == "sha256" else self.path and not self.sha256)


@dataclass(frozen=True)
class Corrections:
    """The corrections of a file; of several for a photo, the last counts."""

    file: str  #: Path of the file.
    digest: str  #: Hash of its bytes.
    lines: Sequence[Correction]  #: The corrections, in the order of the file.

    def apply(self, photos: pa.Table) -> "CorrectedPhotos":
        """Correct photos, given the columns `sha256`, `path` and `label`.

        Raises:
            SettingError: A correction gives a label that no photo has.
        """
        self._check_labels(pc.unique(photos["label"]).to_pylist())
        places, unmatched = self._match(photos)
        labels = np.array([*(each.label for each in self.lines), ""], dtype=object)[places]
        given = np.asarray(photos["label"], dtype=object)
        excluded = (places >= 0) & (labels == "")
        relabelled = (places >= 0) & ~excluded & (labels != given)
        corrected = pa.array(np.where(relabelled, labels, given), pa.string())
        table = photos.set_column(photos.column_names.index("label"), "label", corrected).filter(pa.array(~excluded))
        return CorrectedPhotos(table, self, int(relabelled.sum()), int(excluded.sum()), unmatched)

    def _match(self, photos: pa.Table) -> tuple[npt.NDArray[np.int64], list[Correction]]:
        """Find the correction of each photo, int64 [N], -1 if there is none, and the corrections without a photo."""
        places, unmatched = np.full(photos.num_rows, -1), []
        for name in _KEYS:
            own = {getattr(each, name): place for place, each in enumerate(self.lines) if each.names(name)}
            found = pc.index_in(photos[name], value_set=pa.array(own, pa.string()))
            indices = np.asarray(pc.fill_null(found, len(own)))
            np.maximum(places, np.array([*own.values(), -1])[indices], out=places)
            missing = set(range(len(own))) - set(indices.tolist())
            unmatched += [self.lines[place] for index, place in enumerate(own.values()) if index in missing]
        return places, sorted(unmatched)

    def _check_labels(self, known: Sequence[str]) -> None:
        labels = {"", *known}
        for each in self.lines:
            if each.label not in labels:
                near = difflib.get_close_matches(each.label, known, _NAMED) or sorted(known)
                raise SettingError(
                    f"--corrections {self.file}, line {each.line}: the label {each.label!r} is none of the dataset's, "
                    f"such as {first_of(list(map(repr, near)), _NAMED)}. Correct the line, or make a folder of that "
                    "label with a photo in it."
                )


@dataclass(frozen=True, eq=False)
class CorrectedPhotos:
    """Photos after corrections."""

    table: pa.Table  #: The photos that are left, with corrected labels.
    corrections: Corrections  #: The corrections.
    relabelled: int  #: Number of photos that have another label than before.
    excluded: int  #: Number of photos that were excluded.
    unmatched: Sequence[Correction]  #: Corrections that match no photo.

    def details(self) -> dict[str, Any]:
        """Return counts and examples for a manifest; see `describe_corrections`."""
        examples = [f"line {each.line}, {each.path or each.sha256}" for each in self.unmatched[:_NAMED]]
        return {
            "file": self.corrections.file,
            "relabelled": self.relabelled,
            "excluded": self.excluded,
            "unmatched": len(self.unmatched),
            "unmatched_examples": examples,
        }


def read_corrections(path: AnyPath) -> Corrections:
    """Read a file of corrections: CSV in UTF-8, with commas, semicolons or tabs.

    Repeated header lines are skipped, so that files can be joined by `cat`.

    Raises:
        SettingError: The file cannot be read, lacks a column, or has a line without a photo or a label.
    """
    try:
        data = read_bytes(path)
        lines = list(_parse(path, data))
    except OSError as exc:
        raise SettingError(f"--corrections {path} cannot be read ({exc.strerror or exc}). {_COLUMNS}") from exc
    except UnicodeDecodeError as exc:
        raise SettingError(f"--corrections {path} is not UTF-8 text ({exc}). Save it as CSV in UTF-8.") from exc
    except csv.Error as exc:
        raise SettingError(f"--corrections {path} is no CSV file ({exc}). {_COLUMNS}") from exc
    return Corrections(str(path), hashlib.sha256(data).hexdigest()[:KEY_LENGTH], lines)


def _parse(path: AnyPath, data: bytes) -> Iterator[Correction]:
    reader = open_csv(data)
    columns = set(reader.fieldnames or ())
    if "label" not in columns or columns.isdisjoint(_KEYS):
        raise SettingError(f"--corrections {path} has the columns {', '.join(sorted(columns)) or 'none'}. {_COLUMNS}")
    for row in reader:
        label, (sha256, file) = row["label"], ((row.get(name) or "").strip() for name in _KEYS)
        if label == "label" and (sha256, file) in (("sha256", ""), ("", "path"), _KEYS):
            continue
        if label is None or not (sha256 or file):
            lacking = "label" if label is None else "sha256 and no path"
            raise SettingError(f"--corrections {path}, line {reader.line_num}: it has no {lacking}. {_COLUMNS}")
        yield Correction(reader.line_num, sha256.lower(), file, to_label(label.strip()))
