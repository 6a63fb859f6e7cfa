"""Permutation tests of two samples within labels.

Within a label, new and earlier photos are exchangeable if nothing has changed, however often each label occurs among
either: the tests draw the new photos anew from all photos of their label, which is exact for any distribution (Good
2005, https://doi.org/10.1007/b138696). All tests share the draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

#: Draws at most. They can tell p-values of a five-thousandth.
MOST_DRAWS = 5000
_CHUNK = 500

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class PermutationTest(NamedTuple):
    """Result of the test of a property."""

    p_value: float  #: Share of draws that differ as much from the other photos as the new ones do, or more.
    #: Difference of the means in standard deviations of all photos within labels, 0 or more, without the part that
    #: chance alone gives; of several numbers the distance of the means by the photos' distance from their mean.
    effect: float
    typical: Floats  #: How far each photo lies in the direction of the new ones, float64 [N]; 0 where it is constant.


@dataclass(frozen=True, eq=False)
class Samples:
    """N photos, new and earlier, of labels that both have."""

    labels: npt.NDArray[np.int64]  #: Index of each photo's label, int64 [N], rising.
    new: Mask  #: Which photos are new: bool [N].

    @property
    def strata(self) -> Iterator[slice]:
        """The photos of each label."""
        ends = np.flatnonzero(np.diff(self.labels)) + 1
        return map(slice, [0, *ends.tolist()], [*ends.tolist(), len(self.labels)])

    @property
    def size(self) -> float:
        """Size of the samples for the precision of a difference: the sum over labels of 1 / (1/n + 1/m)."""
        new = self.new
        return float(sum(new[own].sum() * (~new[own]).sum() / len(new[own]) for own in self.strata))


def ranks(values: Floats, samples: Samples) -> Floats:
    """Rank values, [N], within labels: float64 [N, 1] in (0, 1), equal values alike (van Elteren 1960)."""
    found = np.empty((len(values), 1))
    for own in samples.strata:
        _, places, counts = np.unique(values[own], return_inverse=True, return_counts=True)
        found[own, 0] = (np.cumsum(counts) - (counts - 1) / 2)[places] / (len(places) + 1)
    return found


def compare_samples(properties: Sequence[Floats], samples: Samples, least: float) -> list[PermutationTest]:
    """Test whether the means of new and earlier photos differ within labels, for each of several properties.

    The statistic of a property is the squared distance of the means; that of ranks gives van Elteren's test. It does
    not weigh directions by their variance. Hotelling's T² does, and reacts to files that were only encoded anew.

    Args:
        properties: The K numbers of each photo, float64 [N, K], of each property.
        samples: The photos.
        least: The draws end early once no p-value can fall to this one, in (0, 1).
    """
    standardised = [_standardise(numbers, samples) for numbers in properties]
    starts = np.cumsum([0, *(numbers.shape[1] for numbers in standardised)])
    scores = np.concatenate(standardised, axis=1)
    sums = scores[samples.new].sum(axis=0)
    observed = _statistics(sums[np.newaxis], starts)[0]
    counts, draws = np.zeros(len(properties)), 0
    random = np.random.default_rng(0)
    while draws < MOST_DRAWS and (counts.min() + 1) / (MOST_DRAWS + 1) <= least:
        drawn = _draw(samples, random).astype(np.float32) @ scores.astype(np.float32)
        counts += (_statistics(drawn, starts) >= observed * (1 - 1e-5)).sum(axis=0)
        draws += _CHUNK
    size, results = samples.size, []
    for place, (first, last) in enumerate(pairwise(starts.tolist())):
        excess = max(0.0, observed[place] - 1)
        typical = scores[:, first:last] @ sums[first:last]
        results.append(PermutationTest((counts[place] + 1) / (draws + 1), float(np.sqrt(excess / size)), typical))
    return results


def _standardise(numbers: Floats, samples: Samples) -> Floats:
    """Centre within labels, and scale so that over all draws the squared sum of new photos has the mean 1."""
    centred, variance = np.empty_like(numbers), 0.0
    for own in samples.strata:
        centred[own] = numbers[own] - numbers[own].mean(axis=0)
        count, new = own.stop - own.start, int(samples.new[own].sum())
        variance += new * (count - new) / (count * (count - 1)) * float(np.square(centred[own]).sum())
    rounding = np.finfo(np.float64).eps * float(np.square(numbers).sum())
    return centred / np.sqrt(variance) if variance > rounding else np.zeros_like(numbers)


def _statistics(sums: npt.NDArray[np.floating], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
    """Add the squares of each property's columns: [draws, columns] to [draws, properties]."""
    squares = np.pad(np.cumsum(sums.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
    return squares[:, starts[1:]] - squares[:, starts[:-1]]


def _draw(samples: Samples, random: np.random.Generator) -> Mask:
    """Draw as many photos of each label as are new, some times: bool [draws, N]."""
    drawn = np.empty((_CHUNK, len(samples.new)), bool)
    for own in samples.strata:
        keys, new = random.random((_CHUNK, own.stop - own.start)), int(samples.new[own].sum())
        drawn[:, own] = keys <= np.partition(keys, new - 1, axis=1)[:, [new - 1]]
    return drawn
