"""Statistics of bottlenecks that add up exactly: counts, sums and products of whole numbers.

Sums and products of whole numbers below 2**53 are exact in float64, so statistics of two sets of photos add and
subtract without rounding. In whatever order, tonight's are yesterday's plus the new photos less those that are gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dsyrk, ssyrk

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import BackboneError

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

#: What is taken off each number of 8 bits, so that it is at most 128 in magnitude.
CENTRE = 128
#: Rows of 8 bits whose products float32 adds up exactly: 2**10 times 2**7 times 2**7 is 2**24.
_EXACT_ROWS = 1024
_LARGEST = 2.0**53
#: Columns of a matrix that are worked on at once.
_COLUMNS_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class Statistics:
    """What linear discriminant analysis needs of N rows of D numbers with C labels; all whole numbers in float64.

    The numbers are centred: see `centre`.

    Args:
        counts: [C], rows of each label.
        sums: [C, D], sums of the rows of each label.
        products: [D, D], in Fortran's order: sums of products of two numbers of a row, all labels together. What is
            above the diagonal is undefined.
        scratch: float32 [D * D]: memory of whoever works with these statistics, and with others that share it. To get
            memory for a matrix takes as long as to compute it.
    """

    counts: Doubles
    sums: Doubles
    products: Doubles
    scratch: npt.NDArray[np.float32]

    @classmethod
    def none(cls, labels: int, width: int, scratch: npt.NDArray[np.float32] | None = None) -> "Statistics":
        """The statistics of no rows; without memory to share they get some."""
        if scratch is None:
            scratch = np.zeros(width**2, np.float32)
        return cls(np.zeros(labels), np.zeros((labels, width)), np.zeros((width, width), order="F"), scratch)

    def become(self, other: "Statistics") -> None:
        """Take the values of others; in place, since memory for products of wide bottlenecks takes long to get."""
        self.counts[:], self.sums[:] = other.counts, other.sums
        for mine, others in zip(lower_blocks(self.products), lower_blocks(other.products), strict=True):
            mine[:] = others

    def add(self, numbers: Numbers, labels: Labels, sign: int = 1) -> None:
        """Add the rows of photos.

        Args:
            numbers: uint8 or int16 [n, V, D].
            labels: int64 [n], the label of each photo.
            sign: -1 subtracts them.
        """
        photos, views, width = numbers.shape
        order = np.argsort(labels, kind="stable")
        self.counts[:] += sign * views * np.bincount(labels, minlength=len(self.counts))
        step = max(1, _EXACT_ROWS // views)
        for start in range(0, photos, step):
            chosen = order[start : start + step]
            block = centre(numbers[chosen].reshape(-1, width))
            of_block = labels[chosen]
            present, firsts = np.unique(of_block, return_index=True)
            self.sums[present] += sign * np.add.reduceat(block, firsts * views, axis=0)
            if block.dtype == np.float64:
                dsyrk(float(sign), block.T, 1.0, self.products, lower=1, overwrite_c=1)
                continue
            squares = self.scratch.reshape(self.products.shape, order="F")
            ssyrk(float(sign), block.T, 0.0, squares, lower=1, overwrite_c=1)
            for mine, others in zip(lower_blocks(self.products), lower_blocks(squares), strict=True):
                np.add(mine, others, out=mine)

    def check(self) -> None:
        """Check that no sum is so large that it was rounded.

        Raises:
            BackboneError: One is.
        """
        # By Cauchy and Schwarz no product of two numbers adds up to more than the larger one of their squares.
        largest = float(self.products.diagonal().max(initial=0.0))
        if largest >= _LARGEST:
            raise BackboneError(
                f"The bottlenecks are so large that their squares add up to {largest:.2g}, beyond what is exact. Name "
                "another --scaling or --bottleneck-tensor."
            )


def lower_blocks(products: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Views of the lower triangle of a square matrix, some columns each: half of the matrix need not be touched."""
    for start in range(0, len(products), _COLUMNS_AT_ONCE):
        yield products[start:, start : start + _COLUMNS_AT_ONCE]


def centre(rows: Numbers) -> npt.NDArray[np.float32] | Doubles:
    """Centre rows of numbers: uint8 less 128, as float32, in which 1,024 products add up exactly; int16 as float64."""
    if rows.dtype == np.uint8:
        centred: npt.NDArray[np.float32] = rows.astype(np.float32)
        centred -= CENTRE
        return centred
    return rows.astype(np.float64)


def centre_of(dtype: np.dtype[np.uint8 | np.int16]) -> int:
    """What `centre` takes off numbers of this type."""
    return CENTRE if dtype == np.uint8 else 0
