"""The head: one softmax layer on bottlenecks. Plain numpy, so that predicting needs no TensorFlow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tasks.paths import AnyPath
from tasks.storage.errors import DamagedError
from tasks.storage.files import publish_bytes, publish_json, read_bytes, read_json

LAYER = ("weights", "biases")
#: Inputs of a head as its JSON file states them for other programs; x are the averages of layers.
INPUTS = {True: "sign(x) * sqrt(abs(x))", False: "x"}
#: Errors of zipfile and numpy on a damaged archive, and of Python on other JSON.
_DAMAGES = (AttributeError, BadZipFile, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """A trained softmax layer."""

    labels: tuple[str, ...]  #: The labels in the order of the columns.
    weights: Floats  #: float32 [D, C].
    biases: Floats  #: float32 [C].
    rooted: bool  #: Whether the inputs are signed square roots of the averages of layers; otherwise the averages.
    facts: Mapping[str, Any]  #: Further values of the JSON file: settings, chosen parameters, validation results.

    def scores(self, values: Floats) -> Floats:
        """Compute the scores before the softmax: float32 [..., D] to [..., C]."""
        scores: Floats = values @ self.weights
        scores += self.biases
        return scores

    def probabilities(self, values: Floats) -> Floats:
        """Predict photos from the inputs of their V views, float32 [N, V, D].

        Returns:
            float32 [N, C]: the mean of the views' probabilities; each row sums to 1.
        """
        return probabilities(self.scores(values))


def probabilities(scores: Floats) -> Floats:
    """Compute probabilities, float32 [N, C], as the mean over the views of scores, float32 [N, V, C]."""
    mean: Floats = softmax(scores).mean(axis=1)
    return mean


def softmax(scores: Floats) -> Floats:
    """Compute the softmax over the last axis; the import of SciPy's would slow the start of predictions down."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def save_head(head: Head, folder: AnyPath) -> None:
    """Write `head.npz` (arrays) and `head.json` (labels, inputs and facts) into a folder."""
    buffer = io.BytesIO()
    np.savez(buffer, weights=head.weights, biases=head.biases)
    publish_bytes(folder / "head.npz", buffer.getvalue())
    publish_json(folder / "head.json", {"labels": list(head.labels), "takes": INPUTS[head.rooted], **head.facts})


def load_head(folder: AnyPath) -> Head:
    """Read a head that `save_head` wrote.

    Raises:
        FileNotFoundError: The folder has no head.
        DamagedError: The head is damaged.
    """
    facts = read_json(folder / "head.json")
    archive = io.BytesIO(read_bytes(folder / "head.npz"))
    try:
        rooted = {formula: rooted for rooted, formula in INPUTS.items()}[facts.pop("takes")]
        with np.load(archive, allow_pickle=False) as arrays:
            weights, biases = (arrays[name] for name in LAYER)
        labels = tuple(facts.pop("labels"))
        if weights.ndim != 2 or weights.shape[1] != len(labels) or biases.shape != (len(labels),):
            raise ValueError(f"weights of shape {weights.shape} do not fit {len(labels)} labels")
    except _DAMAGES as exc:
        sentences = f"The head in {folder} is damaged ({exc}). Delete the folder and run again."
        raise DamagedError(folder / "head.npz", sentences) from exc
    return Head(labels, weights, biases, rooted, facts)
