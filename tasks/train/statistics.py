"""Statistics of bottlenecks that add up exactly: counts, sums and products of whole numbers.

Sums and products of whole numbers below 2**53 are exact in float64, so the statistics of two sets of photos add and
subtract without rounding. In whatever order, a run's are those of the run before, plus the new photos, minus the
deleted ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import BackboneError

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

#: Subtracted from numbers of 8 bits, which are then at most 128 in magnitude.
CENTRE = 128
#: Rows of 8 bits whose products float32 adds up exactly: 2**10 times 2**7 times 2**7 is 2**24.
_EXACT_ROWS = 1024
_LARGEST_EXACT = 2.0**53
#: Columns of the products that are computed at once. With fewer, OpenBLAS's threads wait for each other more often;
#: with more, more values above the diagonal are computed for nothing.
_BLOCK_COLUMNS = 512


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
        for block in lower_blocks(len(self.products), _BLOCK_COLUMNS):
            self.products[block] = other.products[block]

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
            for lower, columns in lower_blocks(width, _BLOCK_COLUMNS):
                # Transposed, so that it lies in memory as the products do.
                change(products := self.products[lower, columns], (rows[:, columns].T @ rows[:, lower]).T, out=products)

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


def lower_blocks(width: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Cover the lower triangle of a square matrix by blocks of so many columns: the rows and columns of each."""
    for start in range(0, width, columns):
        yield slice(start, None), slice(start, start + columns)


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
