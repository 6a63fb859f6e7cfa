"""Linear discriminant analysis in closed form, from statistics that add up exactly.

Each number is standardised, earlier layers are weighted, and the covariance within labels gets a shrinkage on its
diagonal (Friedman 1989, Regularized discriminant analysis, https://doi.org/10.2307/2289860). The result is one fully
connected layer: with a softmax, its scores are the labels' probabilities if each label's rows are normally distributed
around its mean with that covariance.

What the layer would say of a photo if it had been solved for without that photo follows from the same factorisation.
Leaving a photo out changes the covariance by its own few rows (Woodbury's identity), so that a prediction of each photo
by a layer that never saw it costs no further solution.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import spotrf, strtrs

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import SettingError
from tasks.train.statistics import Doubles, Labels, Statistics, centre

#: Least standard deviation of a number, in steps of what is stored: a number that hardly varies is not blown up.
_LEAST_DEVIATION = 0.1
#: Columns of a matrix that are worked on at once, so that they stay in the processor's cache.
_COLUMNS_AT_ONCE = 32

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
        self.counts, self._shares = known.counts, known.counts / rows
        self.mean = known.sums.sum(axis=0) / rows
        variance = known.products.diagonal() / rows - self.mean**2
        self.deviation = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))
        present = known.counts > 0
        means = np.where(present[:, None], known.sums / np.maximum(known.counts, 1)[:, None], self.mean)
        self.means, self.centres = means, (means - self.mean) / self.deviation
        self.uniform_prior = uniform_prior
        self.log_prior = _log(present / present.sum() if uniform_prior else self._shares)

    def solve(self, shrinkage: float, weights: Doubles, memory: Matrix | None = None) -> "Solution":
        """Solve for the layer.

        Args:
            shrinkage: What is added to the diagonal of the covariance within labels; 1 is a standardised number's
                variance.
            weights: [D]: what each standardised number is multiplied by; those with 0 are left out.
            memory: Memory of the solution, float32 [D * D]: it is valid until somebody else writes there. None gets
                memory of its own.

        Raises:
            SettingError: The shrinkage is so small that the covariance has no inverse in float32.
        """
        kept = np.flatnonzero(weights)
        if memory is None:
            memory = np.empty(len(weights) ** 2, np.float32)
        covariance = memory[: len(kept) ** 2].reshape((len(kept), len(kept)), order="F")
        self._within(kept, weights[kept] / self.deviation[kept], covariance)
        covariance[np.diag_indices(len(kept))] += np.float32(shrinkage)
        factor, failed = spotrf(covariance, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise SettingError(
                f"--shrinkage {shrinkage:g} is too small for these bottlenecks: their covariance has no inverse. Give "
                "larger ones."
            )
        return Solution(self, factor, kept, weights)

    def _within(self, kept: npt.NDArray[np.intp], scale: Doubles, into: Matrix) -> None:
        """Compute the covariance within labels of the numbers that are kept, each multiplied by its scale.

        Only the lower triangle is written.
        """
        products, rows = self._known.products, self._known.counts.sum()
        if len(kept) < len(products):
            products = np.asfortranarray(products[np.ix_(kept, kept)])
        means = self.means[:, kept]
        shared = self._shares[:, None] * means
        for start in range(0, len(kept), _COLUMNS_AT_ONCE):
            columns = slice(start, start + _COLUMNS_AT_ONCE)
            block = products[start:, columns] / rows
            block = dgemm(-1.0, means[:, start:].T, shared[:, columns], 1.0, block, overwrite_c=1)
            block *= scale[start:, None]
            np.multiply(block, scale[columns], out=into[start:, columns], casting="same_kind")


class Solution:
    """A layer that was solved for, and what leaving photos out would change.

    Args:
        of: What it was solved for.
        factor: The Cholesky factor of the covariance of the numbers that are kept, its lower triangle.
        kept: Which numbers these are.
        weights: [D]: what each standardised number was multiplied by.
    """

    def __init__(self, of: Discriminant, factor: Matrix, kept: npt.NDArray[np.intp], weights: Doubles) -> None:
        self._of, self._factor, self._kept, self._weights = of, factor, kept, weights
        self._centres = of.centres[:, kept] * weights[kept]
        self._half_centres = self._half_solve(self._centres)

    def _half_solve(self, rows: Doubles | Matrix) -> Matrix:
        """Multiply rows, [n, d], by the inverse of the factor: products of what comes out are those by the inverse.

        Rows of float32 are overwritten.
        """
        solved, _ = strtrs(self._factor, np.asfortranarray(rows.T, np.float32), lower=1, overwrite_b=1)
        transposed: Matrix = solved.T
        return transposed

    @cached_property
    def layer(self) -> Layer:
        """The layer."""
        of, kept = self._of, self._kept
        solved, _ = strtrs(self._factor, np.asfortranarray(self._half_centres.T), lower=1, trans=1)
        solution = solved.astype(np.float64)
        biases = of.log_prior - 0.5 * np.einsum("cd,dc->c", self._centres, solution)
        weights = np.zeros((len(self._weights), len(biases)))
        weights[kept] = solution * (self._weights[kept] / of.deviation[kept])[:, None]
        return Layer(weights, biases - of.mean @ weights)

    def left_out_scores(self, numbers: Numbers, labels: Labels) -> Doubles:
        """Score photos, each by the layer that the other photos give.

        Mean and deviation by which numbers are standardised stay those of all photos: of them, one photo is little.

        Args:
            numbers: uint8 or int16 [n, V, D]: all views of n photos that the layer was solved for on.
            labels: int64 [n], their labels; each label has another photo.

        Returns:
            float64 [n, V, C].
        """
        photos, views, _ = numbers.shape
        rows, own = self._of.counts.sum(), np.arange(photos)
        half = self._half_solve(self._apart(numbers, labels).reshape(photos * views, -1))
        others = self._of.counts[labels] - views
        # Products, by the inverse, of the photo's rows less their label's mean with each other and with the means.
        by_photo = half.reshape(photos, views, -1)
        among = (by_photo @ by_photo.transpose(0, 2, 1)).astype(np.float64)
        to_means = (half @ self._half_centres.T).astype(np.float64).reshape(photos, views, -1).transpose(0, 2, 1)
        every = np.broadcast_to(1 / self._of.counts[labels][:, None, None], among.shape)
        change = np.linalg.inv(rows * (np.eye(views) - every) - among)
        left = (rows - views) / rows
        means = (self._half_centres @ self._half_centres.T).astype(np.float64)
        moved = np.einsum("ncv,nvw->ncw", to_means, change, optimize=True)
        mean_row = left * (to_means + moved @ among)
        among = left * (among + among @ change @ among)
        own_mean = left * (means[labels] + np.einsum("nw,ncw->nc", moved[own, labels], to_means, optimize=True))
        norms = left * (means.diagonal() + np.einsum("ncw,ncw->nc", moved, to_means, optimize=True))
        scores = own_mean[:, :, None] + mean_row
        # Without the photo its label's mean is another one.
        shift = 1 / others
        toward = mean_row[own, labels]
        scores[own, labels] -= shift[:, None] * (toward.sum(axis=1, keepdims=True) + among.sum(axis=1))
        norms[own, labels] += -2 * shift * toward.sum(axis=1) + shift**2 * among.sum(axis=(1, 2))
        scores += (self._left_out_prior(labels, views) - 0.5 * norms)[:, :, None]
        by_view: Doubles = scores.transpose(0, 2, 1)
        return by_view

    def _apart(self, numbers: Numbers, labels: Labels) -> Matrix:
        """The rows of photos, standardised and weighted, less the mean of their label: float32 [n, V, d]."""
        of, kept = self._of, self._kept
        scale = (self._weights[kept] / of.deviation[kept]).astype(np.float32)
        apart = centre(numbers[..., kept] if len(kept) < len(of.mean) else numbers).astype(np.float32, copy=False)
        apart -= of.means[:, kept].astype(np.float32)[labels][:, None]
        apart *= scale
        return apart

    def _left_out_prior(self, labels: Labels, views: int) -> Doubles:
        """The logarithm of each label's share without each photo: [n, C]."""
        if self._of.uniform_prior:
            return np.repeat(self._of.log_prior[None], len(labels), axis=0)
        counts = np.repeat(self._of.counts[None], len(labels), axis=0)
        counts[np.arange(len(labels)), labels] -= views
        return _log(counts / counts.sum(axis=1, keepdims=True))


def _log(shares: Doubles) -> Doubles:
    """Logarithms of shares; that of 0 is minus infinity."""
    logarithms: Doubles = np.log(shares, out=np.full(shares.shape, -np.inf), where=shares > 0)
    return logarithms
