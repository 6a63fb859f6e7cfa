"""A whole network: a backbone with a softmax layer on it, its weights all trained on the photos' pictures."""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import build_model
from tasks.bottleneck.forward import Vectors, forward_of
from tasks.bottleneck.views import Pixels
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.errors import DamagedError
from tasks.storage.files import local, publish_bytes, publish_json, read_json
from tasks.train.examples import Floats
from tasks.train.pictures import Pictures

FACTS, WEIGHTS = "network.json", "network.weights.h5"
#: Photos in a batch of predictions: larger ones are no faster on a CPU, and take memory.
BATCH_SIZE = 32
#: What h5py and Keras raise on a damaged file, and Python on JSON that is something else. Keras only warns where a file
#: lacks some of the weights.
_DAMAGES = (AttributeError, LookupError, OSError, RuntimeError, TypeError, UserWarning, ValueError)


@dataclass(frozen=True, eq=False)
class Network:
    """A network that tells labels apart.

    Args:
        model: From pixels, float32 [N, S, S, 3], RGB, 0 to 255, to the labels' scores before softmax, float32 [N, C].
        labels: The labels in the order of the scores.
        facts: What else belongs to the network and goes to its JSON file: settings, steps, validation results.
    """

    model: "keras.Model"
    labels: tuple[str, ...]
    facts: Mapping[str, Any]

    def predictor(self) -> Callable[[Pixels], Vectors]:
        """What turns pixels, uint8 [N, S, S, 3], N at most `BATCH_SIZE`, into probabilities, float32 [N, C]."""
        size = self.model.input_shape[1]
        return forward_of(lambda pixels: tf.nn.softmax(self.model(pixels, training=False)), size, BATCH_SIZE)

    def probabilities(self, pictures: Pictures, progress: Progress) -> Floats:
        """Predict photos from their plain pictures.

        A photo's prediction does not depend on which others there are.

        Args:
            pictures: The photos, N.
            progress: Told of every photo.

        Returns:
            float32 [N, C], in the order of the photos; each row sums to 1.
        """
        predict = self.predictor()
        progress.start(len(pictures), "photo")
        predicted = [np.empty((0, len(self.labels)), np.float32)]
        for pixels, _ in pictures.in_order(BATCH_SIZE):
            predicted.append(predict(pixels))
            progress.advance(len(pixels))
        return np.concatenate(predicted)


def build_network(prepared: Prepared, classes: int, *, pretrained: bool) -> "keras.Model":
    """Put a softmax layer on a backbone; its weights are zero, so that it knows no label from another at first.

    Args:
        prepared: The backbone.
        classes: How many labels there are, C.
        pretrained: Whether the backbone has its own weights; otherwise they are random.

    Returns:
        A model as `Network` has it, all of whose layers can be trained.

    Raises:
        SettingError: The backbone is a graph, whose weights are constants.
        BackboneError: Its weights are not as they should be.
    """
    backbone = build_model(prepared, pretrained=pretrained)
    scores = keras.layers.Dense(classes, kernel_initializer="zeros", name="labels")(backbone.output)
    return keras.Model(backbone.input, scores, name="network")


def save_network(network: Network, folder: AnyPath) -> None:
    """Write `network.weights.h5`, and last `network.json` (labels and facts), into a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / WEIGHTS  # Keras insists on the end of the name
        network.model.save_weights(weights)
        publish_bytes(folder / WEIGHTS, weights.read_bytes())
    publish_json(folder / FACTS, {"labels": list(network.labels), **network.facts})


def read_network(folder: AnyPath, prepared: Prepared) -> Network:
    """Read what `save_network` wrote.

    Args:
        folder: Where it is.
        prepared: The backbone that it started from, which gives its layers.

    Raises:
        FileNotFoundError: There is no network.
        DamagedError: It is damaged.
    """
    facts = read_json(folder / FACTS)
    try:
        labels = tuple(facts.pop("labels"))
        model = build_network(prepared, len(labels), pretrained=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(local(folder / WEIGHTS))
    except _DAMAGES as exc:
        sentences = f"The network in {folder} is damaged ({exc}). Delete the folder and run again."
        raise DamagedError(folder / FACTS, sentences) from exc
    return Network(model, labels, facts)
