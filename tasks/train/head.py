"""The head: one softmax layer on bottlenecks. Plain numpy, so that predicting needs no TensorFlow."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tasks.artifacts import DamagedError, publish_bytes, publish_json, read_json
from tasks.paths import AnyPath, read_bytes
from tasks.train.examples import Answers, Choice, Examples, Floats
from tasks.train.vectors import Vectors, blocks

LAYER = ("weights", "biases")
STANDARD = ("mean", "deviation")
#: What a head's JSON file says of its standardisation, for whoever rewrites it elsewhere.
FORMULA = "(sign(x) * sqrt(abs(x)) - mean) / deviation"
#: What zipfile and numpy raise on a damaged archive, and Python on JSON that is something else.
_DAMAGES = (AttributeError, BadZipFile, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
#: Rows that stay in the processor's cache from one step of a formula to the next.
_ROWS_AT_ONCE = 64

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Standardisation:
    """Makes the numbers of a bottleneck comparable.

    Each number is replaced by its signed square root, which evens out the long tail of averaged ReLU activations (the
    power normalisation of Perronnin et al. 2010, https://doi.org/10.1007/978-3-642-15561-1_11), then shifted and
    divided.

    Args:
        mean: float32 [D], mean of the square roots over the training bottlenecks.
        deviation: float32 [D], their standard deviation; 1 where it is zero.
    """

    mean: Floats
    deviation: Floats

    def __call__(self, vectors: Floats, out: Floats | None = None) -> Floats:
        """Standardise bottlenecks.

        Args:
            vectors: float32 [..., D].
            out: Where the result goes: contiguous, of the same shape; may be `vectors` itself. None makes a new array.

        Returns:
            float32 [..., D].
        """
        width = len(self.mean)
        standard: Floats = np.empty(vectors.shape, np.float32) if out is None else out
        rows, results = vectors.reshape(-1, width), standard.reshape(-1, width)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            here = slice(start, start + _ROWS_AT_ONCE)
            roots = _square_root(rows[here])
            roots -= self.mean
            np.divide(roots, self.deviation, out=results[here])
        return standard


def standardisation(vectors: Vectors) -> Standardisation:
    """Measure the standardisation of training bottlenecks, float32 [N, V, D].

    The sums are made row by row, so that the result does not depend on how the bottlenecks are read.
    """
    count = math.prod(vectors.shape[:2])
    mean = _sum(vectors, lambda roots: roots) / count
    deviation = np.sqrt(_sum(vectors, lambda roots: (roots - mean) ** 2) / count)
    return Standardisation(mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32))


def _sum(vectors: Vectors, term: Callable[[Floats], Floats | Doubles]) -> Doubles:
    """Sum a term of the square roots over all rows: float64 [D]."""
    width = vectors.shape[-1]
    total = np.zeros(width)
    for _, block in blocks(vectors):
        rows = block.reshape(-1, width)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            terms = term(_square_root(rows[start : start + _ROWS_AT_ONCE]))
            total = np.add.reduce(np.concatenate((total[None], terms)), axis=0)
    return total


def _square_root(vectors: Floats) -> Floats:
    roots: Floats = np.abs(vectors)
    np.sqrt(roots, out=roots)
    roots *= np.sign(vectors)
    return roots


@dataclass(frozen=True)
class Head:
    """A trained softmax layer.

    Args:
        labels: The labels in the order of the columns.
        weights: float32 [D, C].
        biases: float32 [C].
        standardisation: Applied to bottlenecks first; None takes them as they are.
        facts: What else belongs to the head and goes to its JSON file: settings, chosen L2, validation results.
    """

    labels: tuple[str, ...]
    weights: Floats
    biases: Floats
    standardisation: Standardisation | None
    facts: Mapping[str, Any]

    def with_facts(self, facts: Mapping[str, Any]) -> "Head":
        """The same head with more facts."""
        return replace(self, facts={**self.facts, **facts})

    def probabilities(self, vectors: Vectors) -> Floats:
        """Predict photos.

        Args:
            vectors: Bottlenecks, float32 [N, V, D]; V views of each photo.

        Returns:
            float32 [N, C]: the mean of the views' probabilities; each row sums to 1.
        """
        predicted = np.empty((len(vectors), len(self.labels)), np.float32)
        for photos, block in blocks(vectors):
            predicted[photos] = self._predict(_standardise(block, self.standardisation))
        return predicted

    def _predict(self, standard: Floats) -> Floats:
        """Predict photos from bottlenecks that are standardised already: float32 [N, V, D] to [N, C]."""
        mean: Floats = softmax(standard @ self.weights + self.biases).mean(axis=1)
        return mean


def validate(head: Head, photos: Examples) -> Choice:
    """Measure a head on photos that it was not trained on; their views are those that predict."""
    return validate_all([head], photos)[0]


def validate_all(heads: Sequence[Head], photos: Examples) -> tuple[Choice, ...]:
    """Measure heads of one standardisation on photos that they were not trained on, which are read once for all."""
    answers = [Answers(photos.labels) for _ in heads]
    for which, block in blocks(photos.vectors):
        standard = _standardise(block, heads[0].standardisation)
        for head, own in zip(heads, answers, strict=True):
            own.add(which, head._predict(standard))  # noqa: SLF001 (a head's own module)
    return tuple(Choice(head.facts.get("l2", 0.0), *own.mark()) for head, own in zip(heads, answers, strict=True))


def _standardise(vectors: Floats, standard: Standardisation | None) -> Floats:
    return vectors if standard is None else standard(vectors)


def softmax(scores: Floats) -> Floats:
    """Softmax over the last axis, shifted by the largest score so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def save_head(head: Head, folder: AnyPath) -> None:
    """Write `head.npz` (arrays) and `head.json` (labels, standardisation and facts) into a folder."""
    arrays = {"weights": head.weights, "biases": head.biases}
    if head.standardisation is not None:
        arrays |= {"mean": head.standardisation.mean, "deviation": head.standardisation.deviation}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # arrays alone, none of them called `allow_pickle`
    publish_bytes(folder / "head.npz", buffer.getvalue())
    formula = None if head.standardisation is None else FORMULA
    publish_json(folder / "head.json", {"labels": list(head.labels), "standardisation": formula, **head.facts})


def load_head(folder: AnyPath) -> Head:
    """Read what `save_head` wrote.

    Raises:
        FileNotFoundError: There is no head.
        DamagedError: It is damaged.
    """
    facts = read_json(folder / "head.json")
    archive = io.BytesIO(read_bytes(folder / "head.npz"))
    try:
        standardised = facts.pop("standardisation") is not None
        with np.load(archive, allow_pickle=False) as arrays:
            weights, biases = (arrays[name] for name in LAYER)
            standard = Standardisation(*(arrays[name] for name in STANDARD)) if standardised else None
        labels = tuple(facts.pop("labels"))
        _check(weights, biases, standard, labels)
    except _DAMAGES as exc:
        sentences = f"The head in {folder} is damaged ({exc}). Delete the folder and run again."
        raise DamagedError(folder / "head.npz", sentences) from exc
    return Head(labels, weights, biases, standard, facts)


def _check(weights: Floats, biases: Floats, standard: Standardisation | None, labels: tuple[str, ...]) -> None:
    """Raise ValueError where the parts of a head do not fit each other."""
    if weights.ndim != 2 or weights.shape[1] != len(labels) or biases.shape != (len(labels),):
        raise ValueError(f"weights of shape {weights.shape} do not fit {len(labels)} labels")
    if standard is not None and not standard.mean.shape == standard.deviation.shape == weights.shape[:1]:
        raise ValueError(f"a mean of shape {standard.mean.shape} does not fit weights of shape {weights.shape}")
