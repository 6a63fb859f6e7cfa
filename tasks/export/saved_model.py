"""The exports that take photos' files: a Keras model, and a SavedModel that is ready for TensorFlow Serving."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.backbone.frozen_function import FrozenGraph
from tasks.decode.settings import DecodeSettings
from tasks.export import layers
from tasks.export.classifier import Classifier
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.head import Head

#: Name of the input of both. TensorFlow Serving takes bytes as {"b64": "..."}, under whatever name.
INPUT = "image_bytes"
#: What `layers.py` is called beside the Keras model that needs it.
LAYERS = "photo_layers.py"


def save_keras(classifier: Classifier, decode: DecodeSettings, labels: tuple[str, ...], file: Path) -> None:
    """Write a Keras model, and beside it the layers that it needs.

    Args:
        classifier: The model, which is no graph.
        decode: How photos become its pixels.
        labels: The labels in the order of its probabilities.
        file: Where to; its name ends in `.keras`.
    """
    photos = keras.Input((), dtype="string", name=INPUT)
    pixels = layers.PhotoDecoder(**asdict(decode), name="decode")(photos)
    views = [pixels, keras.ops.flip(pixels, axis=2)][: classifier.views]
    head = _keras_head(classifier.head)
    network: Any = classifier.keras_model
    of_views = [head(network(view)) for view in views]
    probabilities = keras.layers.Average(name="probabilities")(of_views) if len(of_views) > 1 else of_views[0]
    label = layers.BestLabel(labels, name="label")(probabilities)
    model = keras.Model(photos, {"label": label, "probabilities": probabilities}, name="photos")
    model.save(file)
    shutil.copyfile(layers.__file__, file.with_name(LAYERS))


def save_served(graph: FrozenGraph, decode: DecodeSettings, labels: tuple[str, ...], folder: Path) -> None:
    """Write a SavedModel: photos' files, string [N], to labels, string [N], and probabilities, float32 [N, C].

    Args:
        graph: From pixels to probabilities.
        decode: How photos become its pixels.
        labels: The labels in the order of its probabilities.
        folder: The SavedModel's folder.
    """
    decoded, best = layers.PhotoDecoder(**asdict(decode)), layers.BestLabel(labels)

    def serve(photos: Any) -> dict[str, Any]:
        probabilities = graph.call(tf.cast(decoded.call(photos), tf.uint8))
        return {"label": best.call(probabilities), "probabilities": probabilities}

    files = tf.TensorSpec((None,), tf.string, INPUT)
    # As a signature alone: a function of the module's too would put all weights there a second time.
    served = tf.function(serve, autograph=False).get_concrete_function(files)
    tf.saved_model.save(tf.Module(), str(folder), {"serving_default": served})


def _keras_head(head: Head | None) -> Any:
    if head is None:
        return keras.layers.Softmax()
    dense = keras.layers.Dense(len(head.labels), "softmax", name="head")
    dense.build((None, len(head.weights)))
    dense.set_weights([head.weights, head.biases])
    if not head.rooted:
        return dense
    return lambda averages: dense(keras.ops.sign(averages) * keras.ops.sqrt(keras.ops.abs(averages)))
