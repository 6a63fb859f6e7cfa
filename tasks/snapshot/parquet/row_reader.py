"""Reads photos for the stages after the snapshot: files of a folder, or rows of Parquet files in the order of rows."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.snapshot.parquet.row_paths import RowPath, find_row
from tasks.snapshot.photo_io import photo_sha256, read_photo
from tasks.storage.files import storage_at
from tasks.storage.object_store import PARALLEL_REQUESTS

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.snapshot.parquet.image_files import ImageFile

#: Files of a local folder that are read at once.
_LOCAL_THREADS = 16


class PhotoReader(Protocol):
    """Reads the photos of a dataset by their paths."""

    threads: int  #: Number of threads that may read at once.

    def read(self, path: str, most: int) -> bytes:
        """Read a photo, or the first `most + 1` bytes of a larger one; see `tasks.snapshot.photo_io.read_photo`."""

    def sha256(self, path: str) -> str:
        """Hash a photo, likewise."""


class FileReader:
    """Reads files of a folder, which may be on an object store."""

    def __init__(self, folder: AnyPath) -> None:
        self._folder = folder
        self.threads = PARALLEL_REQUESTS if storage_at(folder).reads_are_requests else _LOCAL_THREADS

    def read(self, path: str, most: int) -> bytes:
        """Read a photo; see `PhotoReader.read`."""
        return read_photo(self._folder / path, most)

    def sha256(self, path: str) -> str:
        """Hash a photo; see `PhotoReader.sha256`."""
        return photo_sha256(self._folder / path)


class RowReader:
    """Reads rows of the Parquet files in a folder; each row group is read once if the rows come in their order.

    Memory holds a few rows and the bytes of a column that are read at once. Of a row that is gone, or in a file that
    is no longer the one of the snapshot, no bytes are left, so that its hash is another one.
    """

    threads = 1

    def __init__(self, folder: AnyPath) -> None:
        self._folder = folder
        self._name: str | None = None
        self._file: ImageFile | None = None
        self._starts = [0]
        self._group, self._next = -1, 0
        self._values: Iterator[pa.Scalar] = iter(())

    def read(self, path: str, most: int) -> bytes:
        """Read a photo; see `PhotoReader.read`."""
        found = self._find(path)
        return found.slice(0, min(most + 1, found.size)).to_pybytes() if found else b""

    def sha256(self, path: str) -> str:
        """Hash a photo; see `PhotoReader.sha256`."""
        found = self._find(path)
        return hashlib.sha256(found or b"").hexdigest()

    def close(self) -> None:
        """Close the file that was read last."""
        if self._file:
            self._file.close()
        self._name = self._file = None

    def _find(self, path: str) -> "pa.Buffer | None":
        row = find_row(path)
        if row is None:
            return None
        try:
            return self._seek(row)
        except DatasetError:
            # The snapshot has read it: the file is another one.
            self.close()
            return None

    def _seek(self, row: RowPath) -> "pa.Buffer | None":
        if row.file != self._name:
            self._open(row.file)
        group = bisect_right(self._starts, row.number) - 1
        if group >= len(self._starts) - 1:
            return None
        if group != self._group or row.number < self._next:
            self._group, self._next, self._values = group, self._starts[group], self._read_group(group)
        for value in self._values:
            self._next += 1
            if self._next > row.number:
                return value.as_buffer() if value.is_valid else None
        return None

    def _open(self, name: str) -> None:
        from tasks.snapshot.parquet.image_files import ImageFile  # noqa: PLC0415 (decoding processes import this module)

        self.close()
        self._file = ImageFile(self._folder / name)
        self._name, self._starts, self._group = name, self._file.group_starts(), -1

    def _read_group(self, group: int) -> "Iterator[pa.Scalar]":
        from tasks.snapshot.parquet.image_files import images_of  # noqa: PLC0415

        file = self._file
        if file is not None:
            for batch in file.read_group(group, [file.column.bytes]):
                yield from images_of(batch, file.column)


@contextmanager
def open_reader(folder: AnyPath, paths: Sequence[str]) -> Iterator[PhotoReader]:
    """Open a reader of photos, all of which are files or all of which are rows."""
    if not are_rows(paths):
        yield FileReader(folder)
        return
    reader = RowReader(folder)
    try:
        yield reader
    finally:
        reader.close()


def are_rows(paths: Sequence[str]) -> bool:
    """Whether paths of a dataset's photos are those of rows."""
    return bool(paths) and find_row(paths[0]) is not None
