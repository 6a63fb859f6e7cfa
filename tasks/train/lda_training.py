"""Fits the head of the recipe `lda`, and searches for its parameters.

Shrinkage, layer weight and temperature are those with the least log loss on photos that are left out one at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.quantisation import Floats, Numbers
from tasks.train.features import Columns, columns_of
from tasks.train.head import Head, probabilities
from tasks.train.lda import Discriminant, Layer, Matrix, Solution
from tasks.train.novelty import fit_background
from tasks.train.photos import EmbeddedPhotos
from tasks.train.scores import Score, fit_temperature
from tasks.train.settings import LdaRecipe, TrainSettings
from tasks.train.statistics import Labels, Statistics, centre_of

#: The search begins with the shrinkage nearest to the variance of a standardised number.
_FIRST_SHRINKAGE = 1.0
#: Photos that are left out one at a time, and at least so many of each label: more would take as long as the solution.
LEFT_OUT, LEFT_OUT_OF_LABEL = 512, 2


@dataclass(frozen=True)
class LeftOutScore:
    """Score of some parameters on photos that were left out one at a time."""

    shrinkage: float  #: Added to the variance within labels.
    layer_weight: float  #: Weight of the layers before the last one.
    temperature: float  #: Divisor of the scores.
    accuracy: float  #: Share of these photos that are predicted rightly; 0 without photos.
    log_loss: float  #: Mean of -ln(probability of the true label); 0 without photos.


class LeftOutPhotos(NamedTuple):
    """Photos that are left out, one at a time or all at once."""

    numbers: Numbers  #: uint8 or int16 [n, V, D], all their views.
    labels: Labels  #: int64 [n], indices into the list of labels.


def read_left_out(photos: EmbeddedPhotos, fitted: npt.NDArray[np.bool_]) -> LeftOutPhotos:
    """Read the photos to be left out one at a time, of those that are fitted, bool [N]."""
    selected = fitted.copy()
    selected[fitted] = select_left_out(photos.truth[fitted])
    return LeftOutPhotos(photos.features.read(selected, range(photos.features.shape[1])), photos.truth[selected])


def select_left_out(labels: Labels) -> npt.NDArray[np.bool_]:
    """Select photos to be left out one at a time by their labels, int64 [n]: the first ones, and some of each label.

    Returns:
        bool [n]; False for the only photo of a label.
    """
    several = np.bincount(labels)[labels] > 1
    selected: npt.NDArray[np.bool_] = several & (np.cumsum(several) <= LEFT_OUT)
    for label in np.unique(labels):
        selected[np.flatnonzero(several & (labels == label))[:LEFT_OUT_OF_LABEL]] = True
    return selected


@dataclass(frozen=True)
class LdaTrainer:
    """Fits heads of the recipe `lda` on statistics."""

    recipe: LdaRecipe
    columns: Columns  #: The D numbers of a row.
    views: tuple[int, ...]  #: Indices of the views that predict.
    labels: tuple[str, ...]  #: The labels in order.

    @classmethod
    def of(cls, settings: TrainSettings, labels: tuple[str, ...]) -> "LdaTrainer":
        """Return the trainer of a head's settings, whose recipe is `lda`."""
        return cls(cast("LdaRecipe", settings.recipe), columns_of(settings), settings.predicting_views, labels)

    def search(self, statistics: Statistics, left_out: LeftOutPhotos) -> tuple[Head, tuple[LeftOutScore, ...]]:
        """Choose shrinkage, layer weight and temperature by the log loss of photos that are left out one at a time.

        First the shrinkage with the largest layer weight, beginning at 1 and going on as long as the loss falls; then
        the layer weight, from the largest on. The smallest one is always tried. Without photos to choose by, it is the
        parameters that the search begins with.

        Returns:
            The head, and the scores of all parameters that were tried, the best first.

        Raises:
            SettingError: A shrinkage is too small.
        """
        discriminant = self._discriminant(statistics)
        tried: dict[tuple[float, float], tuple[LeftOutScore, Layer]] = {}

        def loss(shrinkage: float, layer_weight: float) -> float:
            if (shrinkage, layer_weight) not in tried:
                solution = self._solve(discriminant, shrinkage, layer_weight)
                temperature, score = self._score(solution, left_out)
                tried[shrinkage, layer_weight] = (
                    LeftOutScore(shrinkage, layer_weight, temperature, *score),
                    solution.layer,
                )
            return tried[shrinkage, layer_weight][0].log_loss

        shrinkages, weights = sorted(self.recipe.shrinkage), sorted(self.recipe.layer_weights, reverse=True)
        if self.columns.last.all():
            weights = [1.0]
        first = int(np.argmin(np.abs(np.log(np.array(shrinkages) / _FIRST_SHRINKAGE))))
        if len(left_out.labels) == 0:
            untried = LeftOutScore(shrinkages[first], weights[0], temperature=1.0, accuracy=0.0, log_loss=0.0)
            return self.fit(statistics, untried), (untried,)
        shrinkage = _descend(shrinkages, first, lambda value: loss(value, weights[0]))
        _descend(weights, 0, lambda value: loss(shrinkage, value))
        loss(shrinkage, weights[-1])
        (best, layer), *_ = ranked = sorted(tried.values(), key=lambda pair: pair[0].log_loss)
        return self._head(discriminant, layer, best.temperature), tuple(score for score, _ in ranked)

    def search_on(self, numbers: Numbers, labels: Labels) -> tuple[Head, tuple[LeftOutScore, ...]]:
        """Search on photos whose numbers are in memory: uint8 or int16 [n, V, D], labels int64 [n]."""
        statistics = Statistics.empty(len(self.labels), numbers.shape[2])
        statistics.add(numbers, labels)
        selected = select_left_out(labels)
        return self.search(statistics, LeftOutPhotos(numbers[selected], labels[selected]))

    def fit(self, statistics: Statistics, choice: LeftOutScore) -> Head:
        """Fit a head with the chosen parameters."""
        discriminant = self._discriminant(statistics)
        solution = self._solve(discriminant, choice.shrinkage, choice.layer_weight)
        return self._head(discriminant, solution.layer, choice.temperature)

    def solve_for_folds(self, statistics: Statistics, choice: LeftOutScore, folds: int) -> Solution:
        """Solve on the statistics of all photos for predicting each fold by all others with the chosen parameters.

        Folds of the same size thus have exactly the chosen shrinkage.
        """
        return self._solve(self._discriminant(statistics), choice.shrinkage * (folds - 1) / folds, choice.layer_weight)

    def predict_fold(self, solution: Solution, fold: LeftOutPhotos, temperature: float) -> Floats:
        """Predict photos of a fold with the solution of `solve_for_folds`: float32 [n, C]."""
        scores = solution.left_out_fold_scores(fold.numbers, fold.labels)[:, list(self.views)]
        return probabilities((scores / temperature).astype(np.float32))

    def _discriminant(self, statistics: Statistics) -> Discriminant:
        return Discriminant(statistics, uniform_prior=self.recipe.class_weights)

    @cached_property
    def _workspace(self) -> Matrix:
        return np.empty(len(self.columns.steps) ** 2, np.float32)

    def _solve(self, discriminant: Discriminant, shrinkage: float, layer_weight: float) -> Solution:
        """Solve for the layer, in memory that the next solution overwrites."""
        return discriminant.solve(shrinkage, np.where(self.columns.last, 1.0, layer_weight), self._workspace)

    def _score(self, solution: Solution, left_out: LeftOutPhotos) -> tuple[float, Score]:
        scores = solution.left_out_scores(left_out.numbers, left_out.labels)[:, list(self.views)].astype(np.float32)
        temperature = fit_temperature(scores, left_out.labels)
        return temperature, Score.of(probabilities(scores / np.float32(temperature)), left_out.labels)

    def _head(self, discriminant: Discriminant, layer: Layer, temperature: float) -> Head:
        """Return the layer on square roots in place of centred numbers, with its scores divided by the temperature."""
        weights = layer.weights / self.columns.steps[:, None].astype(np.float64)
        biases = layer.biases - centre_of(self.columns.dtype) * layer.weights.sum(axis=0)
        scaled_weights, scaled_biases = ((each / temperature).astype(np.float32) for each in (weights, biases))
        products = (discriminant.means - discriminant.mean) @ layer.weights
        background = fit_background(products, discriminant.shares, discriminant.log_prior, temperature)
        return Head(self.labels, scaled_weights, scaled_biases, rooted=True, facts={}, background=background)


def _descend(values: Sequence[float], start: int, loss: Callable[[float], float]) -> float:
    """Go from a value to its neighbours as long as the loss falls; return the value where it stops."""
    place = start
    for step in (-1, 1):
        while 0 <= place + step < len(values) and loss(values[place + step]) < loss(values[place]):
            place += step
        if place != start:
            break
    return values[place]
