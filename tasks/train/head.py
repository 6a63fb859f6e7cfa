"""The head: one softmax layer on bottlenecks. Plain numpy, so that predicting needs no TensorFlow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tasks.artifacts import publish_bytes, publish_json, read_json
from tasks.errors import StoreError
from tasks.train.examples import Choice, Examples, Floats, mark

LAYER = ("weights", "biases")
STANDARD = ("mean", "deviation")
#: What a head's JSON file says of its standardisation, for whoever rewrites it elsewhere.
FORMULA = "(sign(x) * sqrt(abs(x)) - mean) / deviation"
#: What zipfile and numpy raise on a damaged archive, and Python on JSON that is something else.
_DAMAGES = (AttributeError, BadZipFile, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


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

    def __call__(self, vectors: Floats) -> Floats:
        """Standardise bottlenecks: float32 [..., D] to the same shape."""
        standard: Floats = (_square_root(vectors) - self.mean) / self.deviation
        return standard


def standardisation(vectors: Floats) -> Standardisation:
    """Measure the standardisation of training bottlenecks, float32 [N, V, D]."""
    roots = _square_root(vectors)
    deviation = roots.std(axis=(0, 1), dtype=np.float64)
    return Standardisation(
        roots.mean(axis=(0, 1), dtype=np.float64).astype(np.float32),
        np.where(deviation > 0, deviation, 1).astype(np.float32),
    )


def _square_root(vectors: Floats) -> Floats:
    roots: Floats = np.sign(vectors) * np.sqrt(np.abs(vectors))
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

    def probabilities(self, vectors: Floats) -> Floats:
        """Predict photos.

        Args:
            vectors: Bottlenecks, float32 [N, V, D]; V views of each photo.

        Returns:
            float32 [N, C]: the mean of the views' probabilities; each row sums to 1.
        """
        standard = vectors if self.standardisation is None else self.standardisation(vectors)
        each_view = softmax(standard @ self.weights + self.biases)
        mean: Floats = each_view.mean(axis=1)
        return mean


def validate(head: Head, photos: Examples) -> Choice:
    """Measure a head on photos that it was not trained on; their views are those that predict."""
    return Choice(head.facts.get("l2", 0.0), *mark(head.probabilities(photos.vectors), photos.labels))


def softmax(scores: Floats) -> Floats:
    """Softmax over the last axis, shifted by the largest score so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def save_head(head: Head, folder: Path) -> None:
    """Write `head.npz` (arrays) and `head.json` (labels, standardisation and facts) into a folder."""
    arrays = {"weights": head.weights, "biases": head.biases}
    if head.standardisation is not None:
        arrays |= {"mean": head.standardisation.mean, "deviation": head.standardisation.deviation}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # arrays alone, none of them called `allow_pickle`
    publish_bytes(folder / "head.npz", buffer.getvalue())
    formula = None if head.standardisation is None else FORMULA
    publish_json(folder / "head.json", {"labels": list(head.labels), "standardisation": formula, **head.facts})


def load_head(folder: Path) -> Head:
    """Read what `save_head` wrote.

    Raises:
        FileNotFoundError: There is no head.
        StoreError: It is damaged.
    """
    facts = read_json(folder / "head.json")
    archive = io.BytesIO((folder / "head.npz").read_bytes())
    try:
        standardised = facts.pop("standardisation") is not None
        with np.load(archive, allow_pickle=False) as arrays:
            weights, biases = (arrays[name] for name in LAYER)
            standard = Standardisation(*(arrays[name] for name in STANDARD)) if standardised else None
        labels = tuple(facts.pop("labels"))
        _check(weights, biases, standard, labels)
    except _DAMAGES as exc:
        raise StoreError(f"The head in {folder} is damaged ({exc}). Delete the folder and run again.") from exc
    return Head(labels, weights, biases, standard, facts)


def _check(weights: Floats, biases: Floats, standard: Standardisation | None, labels: tuple[str, ...]) -> None:
    """Raise ValueError where the parts of a head do not fit each other."""
    if weights.ndim != 2 or weights.shape[1] != len(labels) or biases.shape != (len(labels),):
        raise ValueError(f"weights of shape {weights.shape} do not fit {len(labels)} labels")
    if standard is not None and not standard.mean.shape == standard.deviation.shape == weights.shape[:1]:
        raise ValueError(f"a mean of shape {standard.mean.shape} does not fit weights of shape {weights.shape}")
