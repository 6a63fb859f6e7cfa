"""A trained model as one TensorFlow function: from pixels to the probabilities of its labels."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import TrainableKind
from tasks.backbone.load import Network, build_model, load_network
from tasks.predict.models import Model
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tasks.train.head import Head, load_head
from tasks.train.network import read_network
from tasks.train.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model, ready to be exported."""

    size: int  #: Height and width of its pixels, S.
    #: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to the concatenated averages of the
    #: head's layers, [N, D]; a fine-tuned network's, to the logits, [N, C].
    network: Network
    keras_model: "keras.Model | None"  #: The same as a Keras model; None for a graph.
    head: Head | None  #: The head; None for a fine-tuned network.
    views: int  #: Views that it predicts from: 1 is the plain photo, 2 adds its mirror image.

    def probabilities(self, pixels: Any) -> Any:
        """Predict photos, uint8 [N, S, S, 3], RGB, inside a `tf.function`.

        Returns:
            float32 [N, C]: the mean probabilities of the views; each row sums to 1.
        """
        plain = tf.cast(pixels, tf.float32)
        views = tf.concat([plain, plain[:, :, ::-1]], 0) if self.views == 2 else plain
        outputs = self.apply_head(tf.cast(self.network(views), tf.float32))
        return tf.reduce_mean(tf.reshape(outputs, (self.views, -1, outputs.shape[-1])), 0)

    def apply_head(self, averages: Any) -> Any:
        """Compute probabilities, float32 [N, C], from the result of `network` for N views, inside a `tf.function`.

        Unlike the pipeline, it does not quantise the square roots.
        """
        if self.head is None:
            return tf.nn.softmax(averages)
        values = tf.sign(averages) * tf.sqrt(tf.abs(averages)) if self.head.rooted else averages
        return tf.nn.softmax(tf.matmul(values, self.head.weights) + self.head.biases)


class FrozenGraph(NamedTuple):
    """A classifier as a graph whose weights are constants."""

    graph: "tf.compat.v1.GraphDef"
    pixels: str  #: Name of the tensor of the pixels, uint8 [N, S, S, 3].
    probabilities: str  #: Name of the tensor of the probabilities, float32 [N, C].

    def call(self, pixels: Any) -> Any:
        """Predict photos, inside a `tf.function`; see `Classifier.probabilities`."""
        feed, outputs = {self.pixels: pixels}, [self.probabilities]
        (probabilities,) = tf.graph_util.import_graph_def(self.graph, feed, outputs, name="classifier")
        return probabilities


def freeze_classifier(classifier: Classifier) -> FrozenGraph:
    """Freeze a classifier into a graph."""
    batch = tf.TensorSpec((None, classifier.size, classifier.size, 3), tf.uint8)
    frozen = freeze(tf.function(classifier.probabilities, autograph=False).get_concrete_function(batch))
    return FrozenGraph(frozen.graph.as_graph_def(), frozen.inputs[0].name, frozen.outputs[0].name)


def find_obstacle(model: Model) -> str | None:
    """Return the reason for which a model cannot be exported; None if it can.

    An export has one network and one crop of a photo.
    """
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        return None
    if len(settings.backbones) > 1:
        names = " and ".join(backbone.name for backbone in settings.backbones)
        return f"It predicts from {names}, and a model of several backbones is not exported yet."
    if max(settings.predicting_views) >= settings.crops[0].all_views:
        return "It predicts from two crops of a photo (--views 4), and such a model is not exported yet."
    return None


def open_classifier(model: Model) -> Classifier:
    """Load a trained model that can be exported.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The head or network is damaged.
    """
    (prepared,) = model.prepared
    size = prepared.backbone.size
    if not isinstance(model.settings, TrainSettings):
        network = read_network(model.folder, prepared).model
        return Classifier(size, _inference(network), network, None, 1)
    head, views = load_head(model.folder), len(model.settings.predicting_views)
    used = prepared if head.rooted else replace(prepared, backbone=prepared.backbone.last_layer)
    if isinstance(KINDS[prepared.backbone.kind], TrainableKind):
        backbone = build_model(used)
        return Classifier(size, _inference(backbone), backbone, head, views)
    return Classifier(size, load_network(used), None, head, views)


def _inference(model: "keras.Model") -> Network:
    return lambda pixels: model(pixels, training=False)
