"""Statistics of bottlenecks that add up exactly: counts, sums and products of whole numbers.

Sums and products of whole numbers below 2**53 are exact in float64, so the statistics of two sets of photos add and
subtract without rounding. In whatever order, a run's are those of the run before, plus the new photos, minus the
deleted ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from tasks.bottleneck.quantisation import Numbers
from tasks.concurrency import map_ordered
from tasks.errors import BackboneError
from tasks.hardware import available_cores

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

#: Subtracted from numbers of 8 bits, which are then at most 128 in magnitude.
CENTRE = 128
#: Rows of 8 bits whose products float32 adds up exactly: 2**10 times 2**7 times 2**7 is 2**24.
_EXACT_ROWS = 1024
_LARGEST_EXACT = 2.0**53
#: Columns of the products that a thread computes at once.
_BLOCK_COLUMNS = 192


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sufficient statistics of linear discriminant analysis: of N rows of D numbers with C labels.

    All are whole numbers in float64, of numbers centred by `centre`.
    """

    counts: Doubles  #: [C], rows of each label.
    sums: Doubles  #: [C, D], sums of the rows of each label.
    #: [D, D], in Fortran's order: sums of products of two numbers of a row, all labels together. Values above the
    #: diagonal are undefined.
    products: Doubles

    @classmethod
    def empty(cls, labels: int, width: int) -> "Statistics":
        """Statistics of no rows."""
        return cls(np.zeros(labels), np.zeros((labels, width)), np.zeros((width, width), order="F"))

    def copy_from(self, other: "Statistics") -> None:
        """Copy the values of others in place: allocating the products of wide bottlenecks takes long."""
        self.counts[:], self.sums[:] = other.counts, other.sums

        def copy_block(lower: slice, columns: slice) -> None:
            self.products[lower, columns] = other.products[lower, columns]

        work_on_lower_blocks(copy_block, len(self.products), _BLOCK_COLUMNS)

    def add(self, numbers: Numbers, labels: Labels, sign: int = 1) -> None:
        """Add the rows of photos.

        Args:
            numbers: uint8 or int16 [n, V, D].
            labels: int64 [n], the label of each photo.
            sign: 1 adds the rows, -1 subtracts them.
        """
        photos, views, width = numbers.shape
        order = np.argsort(labels, kind="stable")
        self.counts[:] += sign * views * np.bincount(labels, minlength=len(self.counts))
        step, change = max(1, _EXACT_ROWS // views), np.add if sign > 0 else np.subtract
        for start in range(0, photos, step):
            chosen = order[start : start + step]
            rows = centre(numbers[chosen].reshape(-1, width))
            present, firsts = np.unique(labels[chosen], return_index=True)
            self.sums[present] += sign * np.add.reduceat(rows, firsts * views, axis=0)
            self._change_products(rows, change)

    def _change_products(self, rows: npt.NDArray[np.float32] | Doubles, change: np.ufunc) -> None:
        """Add or subtract the products of rows, [n, D]."""

        def change_block(lower: slice, columns: slice) -> None:
            # Transposed, so that it lies in memory as the products do.
            change(products := self.products[lower, columns], (rows[:, columns].T @ rows[:, lower]).T, out=products)

        work_on_lower_blocks(change_block, len(self.products), _BLOCK_COLUMNS)

    def check(self) -> None:
        """Check that every sum is exact.

        Raises:
            BackboneError: One is so large that it was rounded.
        """
        # By Cauchy and Schwarz no product of two numbers adds up to more than the larger one of their squares.
        largest = float(self.products.diagonal().max(initial=0.0))
        if largest >= _LARGEST_EXACT:
            raise BackboneError(
                f"The bottlenecks are so large that their squares add up to {largest:.2g}, beyond what is exact. Name "
                "another --scaling or --bottleneck-tensor."
            )


@cache
def _blas() -> ThreadpoolController:
    """Find the BLAS libraries of this process once: that takes milliseconds."""
    return ThreadpoolController()


def work_on_lower_blocks(work: Callable[[slice, slice], object], width: int, columns: int) -> None:
    """Cover the lower triangle of a square matrix by blocks of so many columns, and work on several at once.

    Each thread computes with one of BLAS's threads. More of them would wait for each other in every product, and a
    single thread would be slow to touch new memory for the first time, which takes as long as computing its content.

    Args:
        work: Function of a block's rows and columns, called in several threads.
        width: Rows and columns of the matrix.
        columns: Columns of a block.
    """
    with _blas().limit(limits=1, user_api="blas"):
        starts = range(0, width, columns)
        list(map_ordered(lambda at: work(slice(at, None), slice(at, at + columns)), starts, available_cores()))


def centre(rows: Numbers) -> npt.NDArray[np.float32] | Doubles:
    """Centre rows of numbers: uint8 minus 128 as float32, which adds up 1,024 products exactly; int16 as float64."""
    if rows.dtype == np.uint8:
        centred: npt.NDArray[np.float32] = rows.astype(np.float32)
        centred -= CENTRE
        return centred
    return rows.astype(np.float64)


def centre_of(dtype: np.dtype[np.uint8 | np.int16]) -> int:
    """The number that `centre` subtracts from numbers of this type."""
    return CENTRE if dtype == np.uint8 else 0
