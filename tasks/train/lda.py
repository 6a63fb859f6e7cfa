"""Linear discriminant analysis in closed form, from statistics that add up exactly.

Each number is standardised, earlier layers are weighted, and the covariance within labels gets a shrinkage on its
diagonal (Friedman 1989, Regularized discriminant analysis, https://doi.org/10.2307/2289860). The result is one fully
connected layer: with a softmax, its scores are the labels' probabilities if each label's rows are normally distributed
around its mean with that covariance.

The same factorisation gives the scores of a photo by the layer that all other photos give: leaving a photo out changes
the covariance by its own few rows (Woodbury's identity, https://en.wikipedia.org/wiki/Woodbury_matrix_identity), so
that predicting each photo by a layer that never saw it takes no further solution. The same holds for a fold of photos
that are left out together.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import spotrf, strtrs

from tasks.bottleneck.quantisation import Numbers
from tasks.errors import SettingError
from tasks.train.statistics import Doubles, Labels, Statistics, centre, work_on_lower_blocks

#: Least standard deviation of a number, in steps of what is stored: a number that hardly varies is not blown up.
_LEAST_DEVIATION = 0.1
#: Columns of the covariance that are computed at once, so that they stay in the processor's cache.
_BLOCK_COLUMNS = 64

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer on centred numbers."""

    weights: Doubles  #: float64 [D, C].
    biases: Doubles  #: float64 [C]; a label without rows has minus infinity.


class Discriminant:
    """Standardised means and covariance of rows, from the statistics of N rows, N at least 1.

    With a uniform prior, all labels that have rows are equally probable; otherwise the prior is the share of rows.
    """

    def __init__(self, statistics: Statistics, *, uniform_prior: bool = False) -> None:
        self.counts, self._products = statistics.counts, statistics.products
        self.rows = self.counts.sum()
        self.shares = self.counts / self.rows
        self.mean = statistics.sums.sum(axis=0) / self.rows
        variance = self._products.diagonal() / self.rows - self.mean**2
        self.deviation = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))
        present = self.counts > 0
        means = statistics.sums / np.maximum(self.counts, 1)[:, None]
        self.means = np.where(present[:, None], means, self.mean)
        self.standardised_means = (self.means - self.mean) / self.deviation
        self.uniform_prior = uniform_prior
        self.log_prior = _log(present / present.sum() if uniform_prior else self.shares)

    def solve(self, shrinkage: float, weights: Doubles, workspace: Matrix | None = None) -> "Solution":
        """Solve for the layer.

        Args:
            shrinkage: Added to the diagonal of the covariance within labels; 1 is the variance of a standardised
                number.
            weights: [D], factors of the standardised numbers; those with 0 are left out.
            workspace: float32 [D * D], memory of the solution, which is valid until it is overwritten. None allocates
                it, which takes as long as computing the covariance.

        Raises:
            SettingError: The shrinkage is so small that the covariance has no inverse in float32.
        """
        kept = np.flatnonzero(weights)
        if workspace is None:
            workspace = np.empty(len(weights) ** 2, np.float32)
        covariance = workspace[: len(kept) ** 2].reshape((len(kept), len(kept)), order="F")
        self._covariance(kept, weights[kept] / self.deviation[kept], covariance)
        covariance[np.diag_indices(len(kept))] += np.float32(shrinkage)
        factor, failed = spotrf(covariance, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise SettingError(
                f"--shrinkage {shrinkage:g} is too small for these bottlenecks: their covariance has no inverse. Give "
                "larger ones."
            )
        return Solution(self, factor, kept, weights)

    def _covariance(self, kept: npt.NDArray[np.intp], scale: Doubles, out: Matrix) -> None:
        """Compute the lower triangle of the covariance within labels of the kept numbers, each times its scale."""
        products = self._products
        if len(kept) < len(products):
            products = np.asfortranarray(products[np.ix_(kept, kept)])
        means = self.means[:, kept]
        weighted_means = self.shares[:, None] * means

        def compute_block(lower: slice, columns: slice) -> None:
            block = products[lower, columns] / self.rows
            # Transposed, so that it lies in memory as the block does.
            block -= (weighted_means[:, columns].T @ means[:, lower]).T
            block *= scale[lower, None]
            np.multiply(block, scale[columns], out=out[lower, columns], casting="same_kind")

        work_on_lower_blocks(compute_block, len(kept), _BLOCK_COLUMNS)


class Solution:
    """A solved layer, and the scores of photos that are left out of it.

    Args:
        discriminant: The means and covariance that it was solved for.
        factor: Cholesky factor of the covariance of the kept numbers, its lower triangle.
        kept: Indices of the kept numbers.
        weights: [D], factors of the standardised numbers.
    """

    def __init__(
        self, discriminant: Discriminant, factor: Matrix, kept: npt.NDArray[np.intp], weights: Doubles
    ) -> None:
        self._discriminant, self._factor, self._kept, self._weights = discriminant, factor, kept, weights
        self._means = discriminant.standardised_means[:, kept] * weights[kept]
        self._whitened_means = self._whiten(self._means)

    def _whiten(self, rows: Doubles | Matrix) -> Matrix:
        """Multiply rows, [n, d], by the inverse of the factor: their products are then those by the inverse covariance.

        Rows of float32 are overwritten.
        """
        solved, _ = strtrs(self._factor, np.asfortranarray(rows.T, np.float32), lower=1, overwrite_b=1)
        whitened: Matrix = solved.T
        return whitened

    @cached_property
    def layer(self) -> Layer:
        """The layer."""
        discriminant, kept = self._discriminant, self._kept
        solved, _ = strtrs(self._factor, np.asfortranarray(self._whitened_means.T), lower=1, trans=1)
        solution = solved.astype(np.float64)
        biases = discriminant.log_prior - 0.5 * np.einsum("cd,dc->c", self._means, solution)
        weights = np.zeros((len(self._weights), len(biases)))
        weights[kept] = solution * (self._weights[kept] / discriminant.deviation[kept])[:, None]
        return Layer(weights, biases - discriminant.mean @ weights)

    def left_out_scores(self, numbers: Numbers, labels: Labels) -> Doubles:
        """Score photos, each by the layer that all other photos give.

        Numbers are standardised by mean and deviation of all photos: one photo hardly changes them.

        Args:
            numbers: uint8 or int16 [n, V, D], all views of n of the photos that the layer was solved for.
            labels: int64 [n], their labels, each of which has another photo too.

        Returns:
            float64 [n, V, C].
        """
        photos, views, _ = numbers.shape
        counts, rows, own = self._discriminant.counts[labels], self._discriminant.rows, np.arange(photos)
        residuals = self._whiten(self._residuals(numbers, labels).reshape(photos * views, -1))
        # Products, by the inverse covariance, of the photo's residuals with each other and with the labels' means.
        by_photo = residuals.reshape(photos, views, -1)
        gram = (by_photo @ by_photo.transpose(0, 2, 1)).astype(np.float64)
        to_means = (residuals @ self._whitened_means.T).astype(np.float64)
        to_means = to_means.reshape(photos, views, -1).transpose(0, 2, 1)
        means = (self._whitened_means @ self._whitened_means.T).astype(np.float64)
        # Woodbury's identity: the same products by the inverse covariance without the photo.
        ones = np.broadcast_to(1 / counts[:, None, None], gram.shape)
        inner = np.linalg.inv(rows * (np.eye(views) - ones) - gram)
        left = (rows - views) / rows
        changed = np.einsum("ncv,nvw->ncw", to_means, inner, optimize=True)
        mean_row = left * (to_means + changed @ gram)
        gram = left * (gram + gram @ inner @ gram)
        own_mean = left * (means[labels] + np.einsum("nw,ncw->nc", changed[own, labels], to_means, optimize=True))
        norms = left * (means.diagonal() + np.einsum("ncw,ncw->nc", changed, to_means, optimize=True))
        scores = own_mean[:, :, None] + mean_row
        # Without the photo, the mean of its label moves too.
        shift = 1 / (counts - views)
        toward = mean_row[own, labels]
        scores[own, labels] -= shift[:, None] * (toward.sum(axis=1, keepdims=True) + gram.sum(axis=1))
        norms[own, labels] += -2 * shift * toward.sum(axis=1) + shift**2 * gram.sum(axis=(1, 2))
        scores += (self._left_out_prior(labels, views) - 0.5 * norms)[:, :, None]
        by_view: Doubles = scores.transpose(0, 2, 1)
        return by_view

    def left_out_fold_scores(self, numbers: Numbers, labels: Labels) -> Doubles:
        """Score the photos of a fold by the layer that all photos outside the fold give.

        As in `left_out_scores`, numbers are standardised by mean and deviation of all photos, and the shrinkage of that
        layer is that of the solution times the number of all rows over the number of those outside the fold.

        Args:
            numbers: uint8 or int16 [n, V, D], all views of n of the photos that the layer was solved for, not of all.
            labels: int64 [n], their labels.

        Returns:
            float64 [n, V, C]; minus infinity for a label that has no photo outside the fold.
        """
        discriminant, views = self._discriminant, numbers.shape[1]
        residuals = self._whiten(self._residuals(numbers, labels).reshape(len(labels) * views, -1))
        # Whether each of the fold's M rows has a label: [M, C].
        own = np.eye(len(discriminant.counts))[np.repeat(labels, views)]
        outside = discriminant.counts - own.sum(axis=0)
        present = outside > 0
        # Products, by the inverse covariance, of residuals and means with each other: [M, M], [C, M] and [C, C].
        gram = (residuals @ residuals.T).astype(np.float64)
        to_means = (self._whitened_means @ residuals.T).astype(np.float64)
        means = (self._whitened_means @ self._whitened_means.T).astype(np.float64)
        # Without the fold, the mean of a label moves by these shares of its residuals. The residuals of a label whose
        # photos are all in the fold add up to zero, and nothing is left to move.
        moves = np.where(present, own / np.maximum(outside, 1), 0.0)
        moved = to_means - moves.T @ gram
        kept = np.where(present, own / discriminant.counts, 0.0)
        # Woodbury's identity: how the fold's rows change products by the inverse covariance.
        inner = discriminant.rows * (np.eye(len(own)) - kept @ own.T) - gram
        changed = np.linalg.solve(inner, moved.T)
        to_residuals = own @ to_means + gram
        products = own @ means + to_means.T - to_residuals @ moves + to_residuals @ changed
        norms = means.diagonal() - np.einsum("mc,cm->c", moves, to_means + moved)
        norms = norms + np.einsum("cm,mc->c", moved, changed)
        prior = present / present.sum() if discriminant.uniform_prior else outside / outside.sum()
        scores: Doubles = outside.sum() / discriminant.rows * (products - 0.5 * norms) + _log(prior)
        return scores.reshape(len(labels), views, -1)

    def _residuals(self, numbers: Numbers, labels: Labels) -> Matrix:
        """Subtract the mean of their label from the rows of photos, standardised and weighted: float32 [n, V, d]."""
        discriminant, kept = self._discriminant, self._kept
        scale = (self._weights[kept] / discriminant.deviation[kept]).astype(np.float32)
        numbers = numbers[..., kept] if len(kept) < len(discriminant.mean) else numbers
        residuals = centre(numbers).astype(np.float32, copy=False)
        residuals -= discriminant.means[:, kept].astype(np.float32)[labels][:, None]
        residuals *= scale
        return residuals

    def _left_out_prior(self, labels: Labels, views: int) -> Doubles:
        """Compute the logarithms of the prior without each photo: [n, C]."""
        if self._discriminant.uniform_prior:
            return np.repeat(self._discriminant.log_prior[None], len(labels), axis=0)
        counts = np.repeat(self._discriminant.counts[None], len(labels), axis=0)
        counts[np.arange(len(labels)), labels] -= views
        return _log(counts / counts.sum(axis=1, keepdims=True))


def _log(shares: Doubles) -> Doubles:
    """Compute the logarithms of shares; that of 0 is minus infinity."""
    logarithms: Doubles = np.log(shares, out=np.full(shares.shape, -np.inf), where=shares > 0)
    return logarithms
