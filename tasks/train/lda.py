"""Linear discriminant analysis in closed form, from statistics that add up exactly.

Each number is standardised, earlier layers are weighted, and the covariance within labels gets a shrinkage on its
diagonal (Friedman 1989, Regularized discriminant analysis, https://doi.org/10.2307/2289860). The result is one fully
connected layer: with a softmax, its scores are the labels' probabilities if each label's rows are normally distributed
around its mean with that covariance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import spotrf, spotrs

from tasks.errors import SettingError
from tasks.train.statistics import Doubles, Statistics

#: Least standard deviation of a number, in steps of what is stored: a number that hardly varies is not blown up.
_LEAST_DEVIATION = 0.1
#: Columns of a matrix that are worked on at once, so that they stay in the processor's cache.
_COLUMNS_AT_ONCE = 128

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer on centred numbers.

    Args:
        weights: float64 [D, C].
        biases: float64 [C]; a label without rows has minus infinity.
    """

    weights: Doubles
    biases: Doubles


class Discriminant:
    """What is solved for the layer: the standardised means and covariance of rows, from their statistics.

    Args:
        known: The statistics of N rows of D numbers with C labels, N at least 1.
        uniform_prior: Whether every label with rows is as likely beforehand; else a label is as likely as its rows are
            frequent.
    """

    def __init__(self, known: Statistics, *, uniform_prior: bool = False) -> None:
        rows = known.counts.sum()
        self._known = known
        self._shares = known.counts / rows
        self._mean = known.sums.sum(axis=0) / rows
        variance = known.products.diagonal() / rows - self._mean**2
        self._deviation = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))
        present = known.counts > 0
        means = np.where(present[:, None], known.sums / np.maximum(known.counts, 1)[:, None], self._mean)
        self._centres = (means - self._mean) / self._deviation
        prior = present / present.sum() if uniform_prior else self._shares
        self._log_prior = np.log(prior, out=np.full(len(prior), -np.inf), where=present)

    def solve(self, shrinkage: float, weights: Doubles) -> Layer:
        """Solve for the layer.

        Args:
            shrinkage: What is added to the diagonal of the covariance within labels; 1 is a standardised number's
                variance.
            weights: [D]: what each standardised number is multiplied by; those with 0 are left out.

        Raises:
            SettingError: The shrinkage is so small that the covariance has no inverse in float32.
        """
        kept = np.flatnonzero(weights)
        used = weights[kept]
        centres = self._centres[:, kept] * used
        covariance = self._weighted(kept, used.astype(np.float32))
        covariance[np.diag_indices(len(kept))] += np.float32(shrinkage)
        factor, failed = spotrf(covariance, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise SettingError(
                f"--shrinkage {shrinkage:g} is too small for these bottlenecks: their covariance has no inverse. Give "
                "larger ones."
            )
        solved, _ = spotrs(factor, np.asfortranarray(centres.T, np.float32), lower=1)
        solution = solved.astype(np.float64)
        biases = self._log_prior - 0.5 * np.einsum("cd,dc->c", centres, solution)
        layer = np.zeros((len(weights), len(biases)))
        layer[kept] = solution * (used / self._deviation[kept])[:, None]
        return Layer(layer, biases - self._mean @ layer)

    def _weighted(self, kept: npt.NDArray[np.intp], used: Matrix) -> Matrix:
        """The covariance of the numbers that are kept, weighted; what is above the diagonal is undefined."""
        if len(kept) < len(self._mean):
            covariance = np.asfortranarray(self._within[np.ix_(kept, kept)])
        else:
            covariance = self._within.copy(order="F")
        if (used != 1).any():
            covariance *= used
            covariance *= used[:, None]
        return covariance

    @cached_property
    def _within(self) -> Matrix:
        """The covariance within labels of standardised numbers: [D, D], its lower triangle alone."""
        products, mean, deviation = self._known.products, self._mean, self._deviation
        rows, width = self._known.counts.sum(), len(mean)
        within = np.empty((width, width), np.float32, order="F")
        between = self._centres * self._shares[:, None]
        for start in range(0, width, _COLUMNS_AT_ONCE):
            columns = slice(start, start + _COLUMNS_AT_ONCE)
            block = products[start:, columns] / rows
            block -= mean[start:, None] * mean[columns]
            block /= deviation[start:, None]
            block /= deviation[columns]
            block -= self._centres[:, start:].T @ between[:, columns]
            within[start:, columns] = block
        return within
