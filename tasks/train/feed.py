"""Feeds a training: hands TensorFlow what it steps through, all of it from memory, or part by part from a scratch file.

From memory, an epoch is one permutation of all rows. From disk, rows that lie together are read together: photos are
sorted by their hash and so in random order already, and blocks of them are shuffled, some blocks pooled, and the rows
of a pool shuffled. The next part is read while TensorFlow works on this one.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tasks.quiet_tensorflow import tf
from tasks.threads import prefetch
from tasks.train.examples import Floats
from tasks.train.head import Standardisation
from tasks.train.vectors import Places, ScratchVectors, Vectors

#: Rows that lie together and are read at once; rows that are shuffled with each other, and that a part has at most.
BLOCK, POOL = 256, 16_384

#: What belongs to each row: arrays of N x V.
Columns = Sequence[npt.NDArray[Any]]
#: What to step through: rows, float32 [n, D], their columns, [n] each, and which of them are in which batch, int64
#: [steps, batch], where -1 stands for none.
Part = tuple[tf.Tensor, ...]


class Feed(Protocol):
    """Draws rows of bottlenecks for the steps of a training."""

    def epoch(self, batch_size: int, seed: tuple[int, int]) -> Iterator[Part]:
        """Draw every row once, in batches."""

    def draw(self, rows: Places) -> Iterator[Part]:
        """Draw rows by their numbers, int64 [steps, batch]; -1 stands for none."""


def feed(vectors: Vectors, columns: Columns, standard: Standardisation | None = None) -> Feed:
    """Make what draws rows.

    Args:
        vectors: Bottlenecks, [N, V, D]; their N x V rows are drawn.
        columns: What belongs to each row.
        standard: What is done to the rows; None leaves them as they are.
    """
    if isinstance(vectors, ScratchVectors):
        return _FromDisk(vectors, columns, standard)
    return _FromMemory(vectors, columns, standard)


class _FromMemory:
    def __init__(self, vectors: Floats, columns: Columns, standard: Standardisation | None) -> None:
        rows = vectors.reshape(-1, vectors.shape[-1])
        self._count = len(rows)
        self._whole = tuple(map(tf.constant, (standard(rows) if standard else rows, *columns)))

    def epoch(self, batch_size: int, seed: tuple[int, int]) -> Iterator[Part]:
        return self.draw(in_batches(np.random.default_rng(seed).permutation(self._count), batch_size))

    def draw(self, rows: Places) -> Iterator[Part]:
        yield (*self._whole, tf.constant(rows))


class _FromDisk:
    def __init__(self, vectors: ScratchVectors, columns: Columns, standard: Standardisation | None) -> None:
        self._vectors, self._columns, self._standard = vectors, columns, standard

    def epoch(self, batch_size: int, seed: tuple[int, int]) -> Iterator[Part]:
        photos, views, _ = self._vectors.shape
        return self.draw(in_batches(shuffle_nearby(photos * views, seed), batch_size))

    def draw(self, rows: Places) -> Iterator[Part]:
        steps = max(1, POOL // rows.shape[1])
        return prefetch((self._read(rows[start : start + steps]) for start in range(0, len(rows), steps)), 1)

    def _read(self, rows: Places) -> Part:
        """Read each row once, however often it is drawn, and number the draw anew."""
        numbers = np.unique(rows[rows >= 0])
        vectors = self._vectors.rows(numbers)
        if self._standard:
            self._standard(vectors, out=vectors)
        among_these = np.where(rows < 0, -1, np.searchsorted(numbers, rows))
        return tuple(map(tf.constant, (vectors, *(column[numbers] for column in self._columns), among_these)))


def in_batches(rows: Places, batch_size: int) -> Places:
    """Cut rows into batches: int64 [steps, batch_size], the last one filled up with -1."""
    steps = math.ceil(len(rows) / batch_size)
    order = np.full(steps * batch_size, -1, np.int64)
    order[: len(rows)] = rows
    return order.reshape(steps, batch_size)


def shuffle_nearby(rows: int, seed: tuple[int, int]) -> Places:
    """Draw an order of rows in which those that lie together stay near each other: int64 [rows], each once."""
    random = np.random.default_rng(seed)
    starts = random.permutation(math.ceil(rows / BLOCK)) * BLOCK
    pools = np.split(starts, range(POOL // BLOCK, len(starts), POOL // BLOCK))
    drawn = [random.permutation((pool[:, None] + np.arange(BLOCK)).reshape(-1)) for pool in pools]
    order: Places = np.concatenate(drawn)
    return order[order < rows]
