"""The head: one softmax layer on standardised bottlenecks. Plain numpy, so that predicting needs no TensorFlow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tasks.artifacts import publish_bytes, publish_json, read_json
from tasks.errors import StoreError

Floats = npt.NDArray[np.float32]
ARRAYS = ("weights", "biases", "mean", "deviation")
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
        standardisation: Applied to bottlenecks first.
        facts: What else belongs to the head and goes to its JSON file: settings, chosen L2, validation results.
    """

    labels: tuple[str, ...]
    weights: Floats
    biases: Floats
    standardisation: Standardisation
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
        each_view = softmax(self.standardisation(vectors) @ self.weights + self.biases)
        mean: Floats = each_view.mean(axis=1)
        return mean


def softmax(scores: Floats) -> Floats:
    """Softmax over the last axis, shifted by the largest score so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def save_head(head: Head, folder: Path) -> None:
    """Write `head.npz` (arrays) and `head.json` (labels and facts) into a folder."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        weights=head.weights,
        biases=head.biases,
        mean=head.standardisation.mean,
        deviation=head.standardisation.deviation,
    )
    publish_bytes(folder / "head.npz", buffer.getvalue())
    publish_json(folder / "head.json", {"labels": list(head.labels), **head.facts})


def load_head(folder: Path) -> Head:
    """Read what `save_head` wrote.

    Raises:
        FileNotFoundError: There is no head.
        StoreError: It is damaged.
    """
    facts = read_json(folder / "head.json")
    archive = io.BytesIO((folder / "head.npz").read_bytes())
    try:
        with np.load(archive, allow_pickle=False) as arrays:
            weights, biases, mean, deviation = (arrays[name] for name in ARRAYS)
        labels = tuple(facts.pop("labels"))
        if weights.shape != (len(mean), len(labels)) or biases.shape != (len(labels),):
            raise ValueError(f"weights of shape {weights.shape} do not fit {len(labels)} labels")
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise ValueError(f"a mean of shape {mean.shape} does not fit deviations of shape {deviation.shape}")
    except _DAMAGES as exc:
        raise StoreError(f"The head in {folder} is damaged ({exc}). Delete the folder and run again.") from exc
    return Head(labels, weights, biases, Standardisation(mean, deviation), facts)
