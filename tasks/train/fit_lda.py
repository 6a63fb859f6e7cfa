"""Fits the head of the recipe `lda`: chooses shrinkage, layer weight and temperature, and solves for the layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.quantisation import Numbers
from tasks.train.calibration import fit_temperature
from tasks.train.examples import LeftOutScore, mark
from tasks.train.features import Columns, columns_of
from tasks.train.head import Head, probabilities
from tasks.train.lda import Discriminant, Layer, Solution
from tasks.train.settings import LdaRecipe, TrainSettings
from tasks.train.statistics import Labels, Statistics, centre_of

#: Where the search begins: the variance of a standardised number.
_FIRST_SHRINKAGE = 1.0
#: Photos that are left out one at a time to choose by, and to fit a temperature on, and at least so many of each label:
#: more of them would cost as much as the solution does.
LEFT_OUT, LEFT_OUT_OF_LABEL = 512, 2


class Sample(NamedTuple):
    """Photos that are left out one at a time.

    Args:
        numbers: uint8 or int16 [n, V, D]: all their views.
        labels: int64 [n], each a place in the list of labels.
    """

    numbers: Numbers
    labels: Labels


def choose_left_out(labels: Labels) -> npt.NDArray[np.bool_]:
    """Choose which photos are left out one at a time: the first ones, and some of each label that has several.

    Args:
        labels: int64 [n], the photos' labels.

    Returns:
        bool [n]; all False where no label has two photos.
    """
    several = np.bincount(labels)[labels] > 1
    some: npt.NDArray[np.bool_] = several & (np.cumsum(several) <= LEFT_OUT)
    for label in np.unique(labels):
        some[np.flatnonzero(several & (labels == label))[:LEFT_OUT_OF_LABEL]] = True
    return some


@dataclass(frozen=True)
class Solver:
    """Solves for heads on some rows.

    Args:
        recipe: How.
        columns: What the D numbers of a row are.
        views: The views that predict.
        labels: The labels in order.
    """

    recipe: LdaRecipe
    columns: Columns
    views: tuple[int, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, settings: TrainSettings, labels: tuple[str, ...]) -> "Solver":
        """The solver of a head's settings, whose recipe is `lda`."""
        return cls(cast("LdaRecipe", settings.recipe), columns_of(settings), settings.predicting_views, labels)

    def choose(self, known: Statistics, sample: Sample) -> tuple[Head, tuple[LeftOutScore, ...]]:
        """Choose shrinkage, layer weight and temperature by the log loss of photos that are left out one at a time.

        First the shrinkage with all layers alike, by going on from 1 as long as the loss gets smaller; then the weight
        of earlier layers, from the largest on; leaving them out is tried in any case. Without a photo to choose by, it
        is the values where the search begins.

        Args:
            known: Statistics of the photos that the head is to be fitted on.
            sample: Some of these photos; none where each label has a single one.

        Returns:
            The head, and every choice that was tried, the best one first.

        Raises:
            SettingError: A shrinkage is too small.
        """
        discriminant = Discriminant(known, uniform_prior=self.recipe.class_weights)
        tried: dict[tuple[float, float], tuple[LeftOutScore, Layer]] = {}

        def loss(shrinkage: float, layer_weight: float) -> float:
            if (shrinkage, layer_weight) not in tried:
                solution = discriminant.solve(shrinkage, self._weights(layer_weight), known.scratch)
                choice = self._measure(solution, sample, shrinkage, layer_weight)
                tried[shrinkage, layer_weight] = choice, solution.layer
            return tried[shrinkage, layer_weight][0].log_loss

        shrinkages, weights = sorted(self.recipe.shrinkage), sorted(self.recipe.layer_weights, reverse=True)
        if self.columns.last.all():
            weights = [1.0]
        first = int(np.argmin(np.abs(np.log(np.array(shrinkages) / _FIRST_SHRINKAGE))))
        if len(sample.labels) == 0:
            untried = LeftOutScore(shrinkages[first], weights[0], temperature=1.0, accuracy=0.0, log_loss=0.0)
            return self.fit(known, untried), (untried,)
        shrinkage = _descend(shrinkages, first, lambda value: loss(value, weights[0]))
        _descend(weights, 0, lambda value: loss(shrinkage, value))
        loss(shrinkage, weights[-1])
        (best, layer), *_ = ranked = sorted(tried.values(), key=lambda one: one[0].log_loss)
        return self._head(layer, best.temperature), tuple(choice for choice, _ in ranked)

    def choose_from(self, numbers: Numbers, labels: Labels) -> tuple[Head, tuple[LeftOutScore, ...]]:
        """Choose and fit a head on photos whose numbers are in memory: uint8 or int16 [n, V, D], labels int64 [n]."""
        known = Statistics.none(len(self.labels), numbers.shape[2])
        known.add(numbers, labels)
        left_out = choose_left_out(labels)
        return self.choose(known, Sample(numbers[left_out], labels[left_out]))

    def fit(self, known: Statistics, choice: LeftOutScore) -> Head:
        """Solve for the head of a choice, on whichever photos are known."""
        discriminant = Discriminant(known, uniform_prior=self.recipe.class_weights)
        solution = discriminant.solve(choice.shrinkage, self._weights(choice.layer_weight), known.scratch)
        return self._head(solution.layer, choice.temperature)

    def _measure(self, solution: Solution, sample: Sample, shrinkage: float, layer_weight: float) -> LeftOutScore:
        scores = solution.left_out_scores(sample.numbers, sample.labels)[:, list(self.views)].astype(np.float32)
        temperature = fit_temperature(scores, sample.labels)
        found = mark(probabilities(scores / np.float32(temperature)), sample.labels)
        return LeftOutScore(shrinkage, layer_weight, temperature, *found)

    def _weights(self, layer_weight: float) -> npt.NDArray[np.float64]:
        return np.where(self.columns.last, 1.0, layer_weight)

    def _head(self, layer: Layer, temperature: float) -> Head:
        """The layer as one on square roots, its scores divided by the temperature."""
        weights = layer.weights / self.columns.steps[:, None].astype(np.float64)
        biases = layer.biases - centre_of(self.columns.dtype) * layer.weights.sum(axis=0)
        return Head(
            self.labels,
            (weights / temperature).astype(np.float32),
            (biases / temperature).astype(np.float32),
            rooted=True,
            facts={},
        )


def _descend(values: Sequence[float], start: int, loss: Callable[[float], float]) -> float:
    """Go from a value to its neighbours as long as the loss gets smaller; returns the value where it stops."""
    place = start
    for step in (-1, 1):
        while 0 <= place + step < len(values) and loss(values[place + step]) < loss(values[place]):
            place += step
        if place != start:
            break
    return values[place]
