"""The head: one softmax layer on bottlenecks. Plain numpy, so that predicting needs no TensorFlow."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from tasks.paths import AnyPath
from tasks.storage.errors import DamagedError
from tasks.storage.files import publish_bytes, publish_json, read_bytes, read_json
from tasks.train.novelty import Background, measure_novelty

LAYER = ("weights", "biases")
#: Arrays of the novelty in the files of a head.
_BACKGROUND = ("novelty_weights", "novelty_biases")
#: Inputs of a head as its JSON file states them for other programs; x are the averages of layers.
INPUTS = {True: "sign(x) * sqrt(abs(x))", False: "x"}
#: Errors of zipfile and numpy on a damaged archive, and of Python on other JSON.
_DAMAGES = (AttributeError, BadZipFile, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

Floats = npt.NDArray[np.float32]


class Predictions(NamedTuple):
    """Predictions of N photos."""

    probabilities: Floats  #: float32 [N, C], each row sums to 1.
    #: float32 [N], in nats; None of a fine-tuned network. See `tasks.train.novelty`.
    novelty: Floats | None


@dataclass(frozen=True)
class Head:
    """A trained softmax layer."""

    labels: tuple[str, ...]  #: The labels in the order of the columns.
    weights: Floats  #: float32 [D, C].
    biases: Floats  #: float32 [C].
    rooted: bool  #: Whether the inputs are signed square roots of the averages of layers; otherwise the averages.
    facts: Mapping[str, Any]  #: Further values of the JSON file: settings, chosen parameters, validation results.
    background: Background | None = None  #: Layer of the novelty; None of a classic head.

    @property
    def arrays(self) -> dict[str, Floats]:
        """All arrays, by their names in `head.npz`."""
        own = dict(zip(LAYER, (self.weights, self.biases), strict=True))
        if self.background is None:
            return own
        return own | dict(zip(_BACKGROUND, (self.background.weights, self.background.biases), strict=True))

    @property
    def threshold(self) -> float | None:
        """Novelty above which a photo is unknown; None if there were too few test photos, or in an earlier version."""
        threshold: float | None = self.facts.get("novelty", {}).get("threshold")
        return threshold

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

    def predict(self, values: Floats) -> Predictions:
        """Predict photos from the inputs of their V views, float32 [N, V, D], with their novelty."""
        scores = self.scores(values)
        return Predictions(probabilities(scores), measure_novelty(scores, self.background))


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
    buffer, arrays = io.BytesIO(), dict[str, Any](head.arrays)
    np.savez(buffer, **arrays)
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
            # Classic heads and those of an earlier version have none.
            has_background = _BACKGROUND[0] in arrays
            background = Background(*(arrays[name] for name in _BACKGROUND)) if has_background else None
        labels = tuple(facts.pop("labels"))
        if weights.ndim != 2 or weights.shape[1] != len(labels) or biases.shape != (len(labels),):
            raise ValueError(f"weights of shape {weights.shape} do not fit {len(labels)} labels")
        if background is not None and (
            background.weights.shape != 2 * biases.shape or background.biases.shape != biases.shape
        ):
            raise ValueError(f"a background of shape {background.weights.shape} does not fit {len(labels)} labels")
    except _DAMAGES as exc:
        sentences = f"The head in {folder} is damaged ({exc}). Delete the folder and run again."
        raise DamagedError(folder / "head.npz", sentences) from exc
    return Head(labels, weights, biases, rooted, facts, background)
