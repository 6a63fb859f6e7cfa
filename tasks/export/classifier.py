"""A trained model as one TensorFlow function: from pixels to the probabilities of its labels, and the novelty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import KINDS
from tasks.backbone.kinds.base import TrainableKind
from tasks.backbone.load import Network, build_model, load_network
from tasks.decode.settings import DecodeSettings
from tasks.export.formats import input_names
from tasks.predict.models import Model
from tasks.runtime.tensorflow_import import freeze, keras, tf
from tasks.train.head import Head
from tasks.train.network import read_network
from tasks.train.novelty import SOFTNESS, Background
from tasks.train.settings import TrainSettings

#: Outputs of an exported head in their order; a fine-tuned network has the first one.
OUTPUTS = ("probabilities", "novelty")


class Branch(NamedTuple):
    """A network on one crop of a photo."""

    pixels: int  #: Index of its pixels among the inputs of the classifier.
    #: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to the concatenated averages of the
    #: head's layers, [N, D]; a fine-tuned network's, to the logits, [N, C].
    network: Network
    keras_model: "keras.Model | None"  #: The same as a Keras model; None for a graph.
    prepared: Prepared | None  #: The backbone with the layers that the head takes; None for a fine-tuned network.


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model, ready to be exported. Its inputs are pixels, uint8 [N, S, S, 3], for each of `decodes`."""

    decodes: tuple[DecodeSettings, ...]  #: The ways to decode a photo.
    #: By crop, the branch of each backbone. Backbones add numbers to a view, crops add views.
    crops: tuple[tuple[Branch, ...], ...]
    head: Head | None  #: The head; None for a fine-tuned network.
    views: int  #: Views of each crop that it predicts from: 1 is the plain photo, 2 adds its mirror image.

    @property
    def branches(self) -> list[Branch]:
        """All branches, by crop."""
        return [branch for crop in self.crops for branch in crop]

    def input_specs(self, photos: int | None) -> list[Any]:
        """Specifications of the inputs for so many photos; None for any number."""
        return [
            tf.TensorSpec((photos, decode.size, decode.size, 3), tf.uint8, name)
            for decode, name in zip(self.decodes, input_names(len(self.decodes)), strict=True)
        ]

    def predict(self, *pixels: Any) -> list[Any]:
        """Predict photos inside a `tf.function`, from their pixels for each of `decodes`.

        Returns:
            `OUTPUTS`, each the mean of the views: probabilities, float32 [N, C], and novelty, float32 [N, 1].
        """
        averages = [
            tf.concat([branch.network(self._views(pixels[branch.pixels])) for branch in crop], -1)
            for crop in self.crops
        ]
        outputs, views = self.apply_head(tf.cast(tf.concat(averages, 0), tf.float32)), len(self.crops) * self.views
        return [tf.reduce_mean(tf.reshape(each, (views, -1, each.shape[-1])), 0) for each in outputs]

    def apply_head(self, averages: Any) -> list[Any]:
        """Compute the outputs of N views from their averages or logits, inside a `tf.function`.

        Unlike the pipeline, it does not quantise the square roots.
        """
        head = self.head
        if head is None:
            return [tf.nn.softmax(averages)]
        values = tf.sign(averages) * tf.sqrt(tf.abs(averages)) if head.rooted else averages
        scores, background = _apply_layer(values, head), head.background
        apply_background = None if background is None else partial(_apply_layer, layer=background)
        return [tf.nn.softmax(scores), compute_novelty(scores, apply_background)]

    def _views(self, pixels: Any) -> Any:
        plain = tf.cast(pixels, tf.float32)
        return tf.concat([plain, plain[:, :, ::-1]], 0) if self.views == 2 else plain


def _apply_layer(values: Any, layer: Head | Background) -> Any:
    return tf.matmul(values, layer.weights) + layer.biases


def compute_novelty(scores: Any, apply_background: Callable[[Any], Any] | None) -> Any:
    """Compute the novelty, float32 [N, 1], of N views with these scores; see `tasks.train.novelty`.

    Args:
        scores: float32 [N, C], of TensorFlow or of Keras.
        apply_background: Applies the layer of the head's background to shifted scores; None if it has none.
    """
    ops, softness = keras.ops, 1.0 if apply_background is None else SOFTNESS
    largest = ops.max(scores, axis=-1, keepdims=True)
    shifted = scores - largest
    energy = -largest - softness * ops.log(ops.sum(ops.exp(shifted / softness), axis=-1, keepdims=True))
    if apply_background is None:
        return energy
    return energy + ops.sum(ops.square(apply_background(shifted)), axis=-1, keepdims=True)


class FrozenGraph(NamedTuple):
    """A classifier as a graph whose weights are constants."""

    graph: "tf.compat.v1.GraphDef"
    pixels: Sequence[str]  #: Names of the tensors of the pixels, uint8 [N, S, S, 3], for each of the decodes.
    outputs: Sequence[str]  #: Names of the tensors of the outputs; see `Classifier.predict`.

    def call(self, *pixels: Any, constants: dict[str, Any] | None = None) -> list[Any]:
        """Predict photos, inside a `tf.function`, with tensors in place of some constants, given by their names."""
        feed = dict(zip(self.pixels, pixels, strict=True)) | {
            f"{name}:0": each for name, each in (constants or {}).items()
        }
        outputs: list[Any] = tf.graph_util.import_graph_def(self.graph, feed, list(self.outputs), name="classifier")
        return outputs


def freeze_classifier(classifier: Classifier) -> FrozenGraph:
    """Freeze a classifier into a graph."""
    function = tf.function(classifier.predict, autograph=False)
    frozen = freeze(function.get_concrete_function(*classifier.input_specs(None)))
    pixels, outputs = ([each.name for each in tensors] for tensors in (frozen.inputs, frozen.outputs))
    return FrozenGraph(frozen.graph.as_graph_def(), pixels, outputs)


def open_classifier(model: Model, head: Head | None) -> Classifier:
    """Load a trained model that can be exported, with this head; None for a fine-tuned network.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The network is damaged.
    """
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        network = read_network(model.folder, model.prepared[0]).model
        return Classifier(model.decodes, ((Branch(0, _inference(network), network, None),),), None, 1)
    loaded = [_open_backbone(prepared, rooted=settings.rooted) for prepared in model.prepared]
    views = len(settings.predicting_views)
    crops = settings.crops if settings.rooted else settings.crops[:1]
    branches = tuple(
        tuple(
            backbone._replace(pixels=model.decodes.index(same[number].decode))
            for same, backbone in zip(settings.by_backbone, loaded, strict=True)
        )
        for number in range(len(crops))
    )
    return Classifier(model.decodes, branches, head, views // len(crops))


def _open_backbone(prepared: Prepared, *, rooted: bool) -> Branch:
    used = prepared if rooted else replace(prepared, backbone=prepared.backbone.last_layer)
    if isinstance(KINDS[prepared.backbone.kind], TrainableKind):
        backbone = build_model(used)
        return Branch(0, _inference(backbone), backbone, used)
    return Branch(0, load_network(used), None, used)


def _inference(model: "keras.Model") -> Network:
    return lambda pixels: model(pixels, training=False)
