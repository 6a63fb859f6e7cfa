"""A trained model as one function of TensorFlow's: from pixels to the probabilities of its labels."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tasks.backbone.backbones import TRAINABLE
from tasks.backbone.load import Network, build_model, load_network
from tasks.predict.models import Model
from tasks.quiet_tensorflow import keras, tf
from tasks.train.examples import Floats
from tasks.train.head import Head, load_head
from tasks.train.network import read_network
from tasks.train.settings import TrainSettings


class Layer(NamedTuple):
    """A head as one plain layer: softmax(x @ weights + biases).

    Args:
        weights: float32 [D, C].
        biases: float32 [C].
        rooted: Whether x are the signed square roots of a bottleneck; otherwise its numbers as they are.
    """

    weights: Floats
    biases: Floats
    rooted: bool


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model, ready to be exported.

    Args:
        size: Height and width of its pixels, S.
        network: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to bottlenecks, [N, D]; of a
            fine-tuned network, to scores before softmax, [N, C].
        keras_model: The same as a Keras model; None where it is a graph.
        layer: The head on the bottlenecks; None of a fine-tuned network.
        views: Views that it predicts from: 1 is the plain photo, 2 adds its mirror image.
    """

    size: int
    network: Network
    keras_model: "keras.Model | None"
    layer: Layer | None
    views: int

    def probabilities(self, pixels: Any) -> Any:
        """Predict photos, inside a `tf.function`.

        Args:
            pixels: uint8 [N, S, S, 3], RGB.

        Returns:
            float32 [N, C]: the mean of the views' probabilities; each row sums to 1.
        """
        plain = tf.cast(pixels, tf.float32)
        views = tf.concat([plain, plain[:, :, ::-1]], 0) if self.views == 2 else plain
        of_views = self.head(tf.cast(self.network(views), tf.float32))
        return tf.reduce_mean(tf.reshape(of_views, (self.views, -1, of_views.shape[-1])), 0)

    def head(self, vectors: Any) -> Any:
        """From what `network` gives of N views to their probabilities, float32 [N, C], inside a `tf.function`."""
        if self.layer is None:
            return tf.nn.softmax(vectors)
        numbers = tf.sign(vectors) * tf.sqrt(tf.abs(vectors)) if self.layer.rooted else vectors
        return tf.nn.softmax(tf.matmul(numbers, self.layer.weights) + self.layer.biases)


def open_classifier(model: Model) -> Classifier:
    """Load a trained model.

    Raises:
        BackboneError: The backbone's weights are not as they should be.
        StoreError: The head or network is damaged.
    """
    size = model.prepared.backbone.size
    if not isinstance(model.settings, TrainSettings):
        network = read_network(model.folder, model.prepared).model
        return Classifier(size, _frozen(network), network, None, 1)
    layer = plain_layer(load_head(model.folder))
    views = model.settings.predicting_views.stop
    if model.prepared.backbone.kind in TRAINABLE:
        backbone = build_model(model.prepared)
        return Classifier(size, _frozen(backbone), backbone, layer, views)
    return Classifier(size, load_network(model.prepared), None, layer, views)


def plain_layer(head: Head) -> Layer:
    """Take the shifting and dividing of a head's standardisation into its weights and biases.

    ((r - mean) / deviation) @ W + b = r @ (W / deviation) + (b - (mean / deviation) @ W).
    """
    if head.standardisation is None:
        return Layer(head.weights, head.biases, rooted=False)
    mean, deviation = (part.astype(np.float64) for part in (head.standardisation.mean, head.standardisation.deviation))
    weights = head.weights / deviation[:, None]
    return Layer(weights.astype(np.float32), (head.biases - mean @ weights).astype(np.float32), rooted=True)


def _frozen(model: "keras.Model") -> Network:
    return lambda pixels: model(pixels, training=False)
