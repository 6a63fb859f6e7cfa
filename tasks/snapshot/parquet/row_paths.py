"""Paths of photos that are rows of Parquet files: `<file>.parquet#<row>/<name>`."""

import re
from typing import NamedTuple

from tasks.paths import AnyPath

_SUFFIX = ".parquet"
_ROW = re.compile(r"(.*?\.parquet)#(\d{1,18})(?:/[^/]*)?", re.IGNORECASE | re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_NAME = 255


class RowPath(NamedTuple):
    """A row of a Parquet file; rows sort in the order in which they are stored."""

    file: str  #: Path of the file, relative to the dataset's folder.
    number: int  #: Number of the row in the file, from 0 on.


def is_parquet(path: str) -> bool:
    """Whether a file is a Parquet file by its name, and not the table that belongs to photos beside it."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(_SUFFIX) and name != f"metadata{_SUFFIX}"


def photos_root(location: AnyPath) -> AnyPath:
    """Return the folder that the paths of a dataset's photos are relative to: of one Parquet file the one above it."""
    # On an object store the question is a request, so that only such names ask it.
    return location.parent if is_parquet(location.name) and location.is_file() else location


def find_row(path: str) -> RowPath | None:
    """Find the row that the path of a photo names; None for the path of a file."""
    found = _ROW.fullmatch(path)
    return RowPath(found[1], int(found[2])) if found else None


def file_of(path: str) -> str:
    """Path of the file that holds a photo: that of the Parquet file, or its own."""
    row = find_row(path)
    return row.file if row else path


def row_name(path: str) -> str | None:
    """Name of the image of a row; None if it has none."""
    return path.rpartition("/")[2] if path.count("/") > file_of(path).count("/") else None


def row_key(path: str) -> str | None:
    """The sha256 that the image of a row is called by, as in the store of the decode stage; None for other names."""
    stem = (row_name(path) or "").partition(".")[0].lower()
    return stem if _SHA256.fullmatch(stem) else None


def row_path(file: str, number: int, name: bytes | None) -> str:
    """Make the path of a row, given the path that its image had: of that, the name is shown, and nothing else used."""
    text = (name or b"").decode(errors="backslashreplace").replace("\\", "/").rpartition("/")[2]
    shown = _NO_NAME.sub("?", text)[:_LONGEST_NAME]
    return f"{file}#{number}/{shown}" if shown else f"{file}#{number}"


def reading_order(path: str) -> RowPath:
    """Key that sorts the paths of rows in the order in which they are stored, and keeps that of other paths."""
    return find_row(path) or RowPath("", 0)
