"""Fits the head of the recipe `lda`: chooses shrinkage, layer weight and temperature, and solves for the layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.train.calibration import fit_temperature, probabilities
from tasks.train.examples import Choice, Examples, mark
from tasks.train.features import Columns
from tasks.train.head import Head
from tasks.train.lda import Discriminant, Layer
from tasks.train.settings import LdaRecipe
from tasks.train.statistics import Statistics, centre_of

#: Where the search begins: the variance of a standardised number.
_FIRST_SHRINKAGE = 1.0


@dataclass(frozen=True)
class Solver:
    """Solves for heads on some rows.

    Args:
        recipe: How.
        columns: What the D numbers of a row are.
        labels: The labels in order.
    """

    recipe: LdaRecipe
    columns: Columns
    labels: tuple[str, ...]

    def choose(self, known: Statistics, validation: Examples) -> tuple[Choice, ...]:
        """Choose shrinkage, layer weight and temperature by the log loss of photos that are not among the known ones.

        First the shrinkage with all layers alike, by going on from 1 as long as the loss gets smaller; then the weight
        of earlier layers, from the largest on; leaving them out is tried in any case.

        Args:
            known: Statistics of the training photos.
            validation: Square roots of the validation photos' numbers, of the views that predict.

        Returns:
            Every choice that was tried, the best one first.
        """
        discriminant = Discriminant(known, uniform_prior=self.recipe.class_weights)
        tried: dict[tuple[float, float], Choice] = {}

        def loss(shrinkage: float, layer_weight: float) -> float:
            if (shrinkage, layer_weight) not in tried:
                layer = discriminant.solve(shrinkage, self._weights(layer_weight))
                tried[shrinkage, layer_weight] = self._try(layer, validation, shrinkage, layer_weight)
            return tried[shrinkage, layer_weight].log_loss

        shrinkages, weights = sorted(self.recipe.shrinkage), sorted(self.recipe.layer_weights, reverse=True)
        if self.columns.last.all():
            weights = [1.0]
        first = int(np.argmin(np.abs(np.log(np.array(shrinkages) / _FIRST_SHRINKAGE))))
        shrinkage = _descend(shrinkages, first, lambda value: loss(value, weights[0]))
        _descend(weights, 0, lambda value: loss(shrinkage, value))
        loss(shrinkage, weights[-1])
        return tuple(sorted(tried.values(), key=lambda choice: choice.log_loss))

    def fit(self, known: Statistics, choice: Choice) -> Head:
        """Solve for the head of a choice, on whichever rows are known."""
        discriminant = Discriminant(known, uniform_prior=self.recipe.class_weights)
        layer = discriminant.solve(choice.shrinkage, self._weights(choice.layer_weight))
        return self._head(layer, choice.temperature)

    def _try(self, layer: Layer, validation: Examples, shrinkage: float, layer_weight: float) -> Choice:
        head = self._head(layer, 1.0)
        scores = head.scores(validation.values)
        temperature = fit_temperature(scores, validation.labels)
        found = mark(probabilities(scores / np.float32(temperature)), validation.labels)
        return Choice(shrinkage, layer_weight, temperature, *found)

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
