"""A whole network: a backbone with a softmax layer, all weights trained on the photos' pictures."""

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
from tasks.train.head import Floats
from tasks.train.pictures import Pictures

FACTS, WEIGHTS = "network.json", "network.weights.h5"
#: Photos in a batch of predictions: larger batches are no faster on a CPU, and take memory.
BATCH_SIZE = 32
#: Errors of h5py and Keras on a damaged file, and of Python on other JSON. Keras only warns of missing weights.
_DAMAGES = (AttributeError, LookupError, OSError, RuntimeError, TypeError, UserWarning, ValueError)


@dataclass(frozen=True, eq=False)
class Network:
    """A network that classifies pictures."""

    #: From pixels, float32 [N, S, S, 3], RGB, 0 to 255, to scores before the softmax, float32 [N, C].
    model: "keras.Model"
    labels: tuple[str, ...]  #: The labels in the order of the scores.
    facts: Mapping[str, Any]  #: Further values of the JSON file: settings, steps, validation results.

    def predictor(self) -> Callable[[Pixels], Vectors]:
        """Return a function from pixels, uint8 [N, S, S, 3], N up to `BATCH_SIZE`, to probabilities, float32 [N, C]."""
        size = self.model.input_shape[1]
        return forward_of(lambda pixels: tf.nn.softmax(self.model(pixels, training=False)), size, BATCH_SIZE)

    def probabilities(self, pictures: Pictures, progress: Progress) -> Floats:
        """Predict photos from their plain pictures, each independently of all others.

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
    """Put a softmax layer for some classes on a backbone, with weights of zero: at first all are equally probable.

    The backbone has its own weights, or random ones. All layers are trainable.

    Raises:
        SettingError: The backbone is a graph, whose weights are constants.
        BackboneError: The backbone's weights are damaged, or not those of its settings.
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
    """Read a network that `save_network` wrote, given the backbone that its training started from.

    Raises:
        FileNotFoundError: The folder has no network.
        DamagedError: The network is damaged.
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
