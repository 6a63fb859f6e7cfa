"""Writes a classifier as a Keras model."""

import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.errors import ModelError
from tasks.export import layers
from tasks.export.classifier import OUTPUTS, Classifier, compute_novelty
from tasks.export.formats import INPUT, KERAS_FOLDER, LAYERS_FILE, input_names
from tasks.runtime.tensorflow_import import keras
from tasks.train.head import Head
from tasks.train.novelty import Background


def save_keras(classifier: Classifier, labels: tuple[str, ...], folder: Path) -> None:
    """Write a Keras model as a folder of files, and beside it the layers that it needs.

    Raises:
        ModelError: A backbone is a graph, or has layers that Keras cannot read from a file.
    """
    if any(branch.keras_model is None for branch in classifier.branches):
        raise ModelError("The backbone is a graph, which Keras cannot hold.")
    for branch in classifier.crops[0]:
        _check_loadable(branch.keras_model)
    photos = keras.Input((), dtype="string", name=INPUT)
    pixels = [
        layers.PhotoDecoder(**asdict(decode), name=f"decode_{name}")(photos)
        for decode, name in zip(classifier.decodes, input_names(len(classifier.decodes)), strict=True)
    ]
    head, by_view = _keras_head(classifier.head), []
    for crop in classifier.crops:
        for view in range(classifier.views):
            averages = [branch.keras_model(_keras_view(pixels[branch.pixels], view)) for branch in crop]  # type: ignore[misc]
            by_view.append(head(keras.layers.Concatenate()(averages) if len(averages) > 1 else averages[0]))
    outputs = {
        name: keras.layers.Average(name=name)(same) if len(same) > 1 else same[0]
        for name, same in zip(OUTPUTS, map(list, zip(*by_view, strict=True)), strict=False)
    }
    label = layers.BestLabel(labels, name="label")(outputs["probabilities"])
    model = keras.Model(photos, {"label": label, **outputs}, name="photos")
    model.save(folder / KERAS_FOLDER, zipped=False)
    shutil.copyfile(layers.__file__, folder / LAYERS_FILE)


def _check_loadable(network: "keras.Model | None") -> None:
    """Check that Keras can build a network from its own configuration; it cannot with some layers of KerasHub."""
    try:
        keras.Model.from_config(network.get_config())  # type: ignore[union-attr]  # no graph
    except (AttributeError, NotImplementedError, TypeError, ValueError) as exc:
        layer = re.search(r"class '(\w+)'", str(exc))
        name = f"the layer {layer[1]}" if layer else "a layer"
        raise ModelError(f"The backbone has {name}, which Keras writes into a file but cannot read from it.") from exc


def _keras_view(pixels: Any, view: int) -> Any:
    return keras.ops.flip(pixels, axis=2) if view else pixels


def _keras_head(head: Head | None) -> Callable[[Any], list[Any]]:
    """Return a function from averages or logits to the outputs of the classifier."""
    softmax = keras.layers.Softmax()
    if head is None:
        return lambda logits: [softmax(logits)]
    dense = _dense("head", head)
    background = None if head.background is None else _dense("background", head.background)

    def apply(averages: Any) -> list[Any]:
        roots = keras.ops.sign(averages) * keras.ops.sqrt(keras.ops.abs(averages)) if head.rooted else averages
        scores = dense(roots)
        return [softmax(scores), compute_novelty(scores, background)]

    return apply


def _dense(name: str, layer: Head | Background) -> Any:
    dense = keras.layers.Dense(len(layer.biases), name=name)
    dense.build((None, len(layer.weights)))
    dense.set_weights([layer.weights, layer.biases])
    return dense
