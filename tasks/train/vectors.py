"""What a training reads its bottlenecks from: an array, or a scratch file where they are too many for memory.

Both have a `shape` [N, V, D] and `nbytes`, give photos by `vectors[places]`, and a part of themselves by `choose`. The
views of all photos, one photo after the other, are their rows: row r is view r % V of photo r // V.
"""

import os
import weakref
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.artifacts import open_scratch, scratch_for
from tasks.errors import MachineError
from tasks.paths import AnyPath
from tasks.threads import prefetch

#: Bytes of bottlenecks above which they go to a scratch file: a training holds an array about four times.
MOST_IN_MEMORY = 2**28
#: Rows of a block, which is what is read and worked on at once.
ROWS_PER_BLOCK = 2048

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


class ScratchVectors:
    """Bottlenecks in an unnamed file, or some of them; the file is gone with the last object that reads it.

    A mapped file would be simpler, but the pages that were read count as memory of the process.

    Args:
        file: The rows.
        first: The file's row of each photo's first view, int64 [N].
        views: How many views there are of each photo, in rows that follow each other.
    """

    def __init__(self, file: "_RowFile", first: Places, views: int) -> None:
        self._file, self._first = file, first
        self.shape = len(first), views, file.width

    @property
    def nbytes(self) -> int:
        """Bytes that they would take in memory."""
        photos, views, width = self.shape
        return photos * views * width * np.dtype(np.float32).itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: slice | Places) -> Floats:
        """Read photos: float32 [n, V, D]."""
        rows = self._first[which][:, None] + np.arange(self.shape[1])
        return self._file.read(rows.reshape(-1)).reshape(-1, *self.shape[1:])

    def __setitem__(self, which: tuple[Places, Places], vectors: Floats) -> None:
        """Write the bottlenecks, float32 [n, D], of n photos' views, given as their places and views."""
        places, views = which
        self._file.write(self._first[places] + views, vectors)

    def rows(self, rows: Places) -> Floats:
        """Read rows: float32 [n, D]."""
        return self._file.read(self._first[rows // self.shape[1]] + rows % self.shape[1])

    def choose(self, which: npt.NDArray[np.bool_] | slice, views: slice) -> "ScratchVectors":
        """Some views of some photos, without reading them."""
        start, stop, _ = views.indices(self.shape[1])
        return ScratchVectors(self._file, self._first[which] + start, stop - start)


Vectors = Floats | ScratchVectors


def make_room(shape: tuple[int, int, int], folder: AnyPath) -> Vectors:
    """Make room for the bottlenecks of N photos, to be filled by `vectors[places, views] = rows`.

    Args:
        shape: [N, V, D].
        folder: Where a scratch file goes if they are too many for memory; that of an object store goes to scratch.

    Raises:
        MachineError: The disk has no room for it.
    """
    photos, views, width = shape
    size = photos * views * width * np.dtype(np.float32).itemsize
    if size <= MOST_IN_MEMORY:
        return np.empty(shape, np.float32)
    file = _RowFile(open_scratch(folder, size), width, scratch_for(folder))
    return ScratchVectors(file, np.arange(photos) * views, views)


def choose(vectors: Vectors, which: npt.NDArray[np.bool_] | slice, views: slice = slice(None)) -> Vectors:
    """Take some views of some photos, bool [N] or a slice, as numpy does; what is on disk stays there, unread."""
    if isinstance(vectors, ScratchVectors):
        return vectors.choose(which, views)
    chosen: Floats = vectors[which, views]
    return chosen


def blocks(vectors: Vectors) -> Iterator[tuple[slice, Floats]]:
    """Go through all photos in order, in blocks of a few MB, read ahead where they are on disk.

    Yields:
        Which photos these are, and their bottlenecks: float32 [n, V, D].
    """
    photos, views, _ = vectors.shape
    size = max(1, ROWS_PER_BLOCK // views)
    spans = [slice(start, min(start + size, photos)) for start in range(0, photos, size)]
    read = ((span, vectors[span]) for span in spans)
    return prefetch(read, 1) if isinstance(vectors, ScratchVectors) else read


class _RowFile:
    """Rows of float32 [D] in a file without a name, read and written by their numbers; closed with this object."""

    def __init__(self, file: FileIO, width: int, folder: Path) -> None:
        self.width = width
        self._descriptor, self._folder = file.fileno(), folder
        weakref.finalize(self, file.close)

    def read(self, numbers: Places) -> Floats:
        rows = np.empty((len(numbers), self.width), np.float32)
        for part, offset in _runs(numbers, rows):
            if os.preadv(self._descriptor, [part], offset) != len(part):
                raise MachineError(f"The scratch file in {self._folder} cannot be read. Check its disk and run again.")
        return rows

    def write(self, numbers: Places, rows: Floats) -> None:
        if (np.diff(numbers) < 0).any():
            order = np.argsort(numbers)
            numbers, rows = numbers[order], rows[order]
        for part, offset in _runs(numbers, rows):
            written = 0
            try:
                while written < len(part):
                    written += os.pwrite(self._descriptor, part[written:], offset + written)
            except OSError as exc:
                raise MachineError(
                    f"The scratch file in {self._folder} cannot be written ({exc}). Free some of its disk; run again."
                ) from exc


def _runs(numbers: Places, rows: Floats) -> Iterator[tuple[memoryview, int]]:
    """Cut rows where the next number is not one more: the bytes of each run, and where they are in the file."""
    if not len(numbers):
        return
    size = rows.strides[0]
    edges = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1), len(numbers)]
    offsets = (numbers[edges[:-1]] * size).tolist()
    flat = rows.data.cast("B")
    for start, end, offset in zip(edges[:-1], edges[1:], offsets, strict=True):
        yield flat[start * size : end * size], offset
