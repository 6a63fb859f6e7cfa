"""Writes a model in each format."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tasks.backbone.model_file_errors import first_line
from tasks.bottleneck.litert_forward import convert_to_tflite, int8_network, quantise_network
from tasks.decode.settings import DecodeSettings
from tasks.errors import BackboneError, ModelError
from tasks.export import layers
from tasks.export.classifier import Classifier, FrozenGraph, freeze_classifier, open_classifier
from tasks.export.formats import FORMATS, KERAS, SAVED_MODEL, TFLITE, TFLITE_INT8
from tasks.export.tflite_merge import MergedModel, MergedPart
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.layout import DataRoot
from tasks.train.head import Head
from tasks.train.settings import TrainSettings

#: Name of the input of the SavedModel and the Keras model. TensorFlow Serving takes bytes as {"b64": "..."}.
INPUT = "image_bytes"
#: Name of the copy of `layers.py` beside the Keras model, which needs it.
LAYERS_FILE = "photo_layers.py"


def write_formats(model: Model, folder: Path, root: DataRoot, progress: Progress) -> Mapping[str, str]:
    """Write a model in every format that supports it; returns the reasons for missing formats, by their names.

    Raises:
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The model, or the cached int8 network, is damaged.
    """
    lacking = {}
    (decode,), labels = model.decodes, model.labels
    name = model.settings.backbones[0].name
    progress.start(len(FORMATS), "file")
    with progress.preparing("network"):
        classifier = open_classifier(model)
        graph = freeze_classifier(classifier)
    save_saved_model(graph, decode, labels, folder / SAVED_MODEL.name)
    progress.advance(1)
    if classifier.keras_model is None:
        lacking[KERAS.name] = f"{name} is a graph, which Keras cannot hold."
    else:
        save_keras(classifier, decode, labels, folder / KERAS.name)
    progress.advance(1)
    try:
        (folder / TFLITE.name).write_bytes(to_tflite(graph, classifier.size))
    except ModelError as exc:
        lacking[TFLITE.name] = str(exc)
    progress.advance(1)
    try:
        network = _int8_network(model, classifier, root, progress)
        (folder / TFLITE_INT8.name).write_bytes(to_int8_tflite(network, classifier))
    except BackboneError:
        lacking[TFLITE_INT8.name] = f"{name} is a network that LiteRT cannot compute in int8."
    progress.advance(1)
    return lacking


def _int8_network(model: Model, classifier: Classifier, root: DataRoot, progress: Progress) -> bytes:
    """Return the network in int8; a backbone's is cached where the bottleneck stage caches it."""
    settings = model.settings
    if not isinstance(settings, TrainSettings):
        return quantise_network(classifier.network, settings.decode, settings.backbone.name)
    bottleneck = settings.bottlenecks[0]
    folder = root.bottleneck(replace(bottleneck, precision="int8").key)
    return int8_network(model.prepared[0], bottleneck.decode, folder, progress)


def save_saved_model(graph: FrozenGraph, decode: DecodeSettings, labels: tuple[str, ...], folder: Path) -> None:
    """Write a SavedModel: photos' files, string [N], to labels, string [N], and probabilities, float32 [N, C]."""
    decoder, best = layers.PhotoDecoder(**asdict(decode)), layers.BestLabel(labels)

    def serve(photos: Any) -> dict[str, Any]:
        probabilities = graph.call(tf.cast(decoder.call(photos), tf.uint8))
        return {"label": best.call(probabilities), "probabilities": probabilities}

    files = tf.TensorSpec((None,), tf.string, INPUT)
    # As a signature only: as a function of the module, it would store all weights a second time.
    signature = tf.function(serve, autograph=False).get_concrete_function(files)
    tf.saved_model.save(tf.Module(), str(folder), {"serving_default": signature})


def save_keras(classifier: Classifier, decode: DecodeSettings, labels: tuple[str, ...], file: Path) -> None:
    """Write a Keras model, and beside it the layers that it needs; the name of `file` ends in `.keras`."""
    photos = keras.Input((), dtype="string", name=INPUT)
    pixels = layers.PhotoDecoder(**asdict(decode), name="decode")(photos)
    views = [pixels, keras.ops.flip(pixels, axis=2)][: classifier.views]
    head = _keras_head(classifier.head)
    network: Any = classifier.keras_model
    outputs = [head(network(view)) for view in views]
    probabilities = keras.layers.Average(name="probabilities")(outputs) if len(outputs) > 1 else outputs[0]
    label = layers.BestLabel(labels, name="label")(probabilities)
    model = keras.Model(photos, {"label": label, "probabilities": probabilities}, name="photos")
    model.save(file)
    shutil.copyfile(layers.__file__, file.with_name(LAYERS_FILE))


def _keras_head(head: Head | None) -> Any:
    if head is None:
        return keras.layers.Softmax()
    dense = keras.layers.Dense(len(head.labels), "softmax", name="head")
    dense.build((None, len(head.weights)))
    dense.set_weights([head.weights, head.biases])
    if not head.rooted:
        return dense
    return lambda averages: dense(keras.ops.sign(averages) * keras.ops.sqrt(keras.ops.abs(averages)))


def to_tflite(graph: FrozenGraph, size: int) -> bytes:
    """Convert a classifier: pixels, uint8 [1, size, size, 3], to probabilities, float32 [1, C].

    Raises:
        ModelError: LiteRT cannot compute it.
    """
    try:
        return convert_to_tflite(graph.call, [tf.TensorSpec((1, size, size, 3), tf.uint8, "pixels")])
    except Exception as exc:  # the converter has no exceptions of its own
        raise ModelError(
            f"LiteRT cannot compute the network ({first_line(exc)}). Take another --backbone to export to LiteRT."
        ) from exc


def to_int8_tflite(network: bytes, classifier: Classifier) -> bytes:
    """Append the head, in float, to an int8 network that is run on each of the classifier's views.

    The head stays in float: square roots and sums of a thousand products lose too much in 8 bits. The averages of each
    layer have their own scale.

    Args:
        network: A TFLite model: pixels, uint8 [1, S, S, 3], to the result of `classifier.network` as one or more
            outputs, float32 [1, K]. A head on the last layer uses only the first one.
        classifier: The head and its views.

    Returns:
        A TFLite model: pixels, uint8 [1, S, S, 3], to probabilities, float32 [1, C].
    """
    backbone = MergedPart(network)
    merged = MergedModel(backbone)
    views = [merged.inputs[0]]
    if classifier.views == 2:
        pixels = tf.TensorSpec((1, classifier.size, classifier.size, 3), tf.uint8)
        views += merged.call(MergedPart(convert_to_tflite(lambda plain: plain[:, :, ::-1], [pixels])), merged.inputs)
    widths = [int(backbone.graph.tensors[output].shape[-1]) for output in backbone.graph.outputs]
    used = len(widths) if classifier.head is None or classifier.head.rooted else 1
    averages = [output for view in views for output in merged.call(backbone, [view])[:used]]
    # Each input has a name: the converter sorts inputs without one.
    inputs = [
        tf.TensorSpec((1, width), tf.float32, f"view{view}_layer{layer}")
        for view in range(len(views))
        for layer, width in enumerate(widths[:used])
    ]

    def head(*layers: Any) -> Any:
        by_view = [tf.concat(layers[start : start + used], 1) for start in range(0, len(layers), used)]
        return tf.reduce_mean(classifier.apply_head(tf.concat(by_view, 0)), 0, keepdims=True)

    return merged.finish(merged.call(MergedPart(convert_to_tflite(head, inputs)), averages))
