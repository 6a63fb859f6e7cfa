"""Loads a backbone: as a frozen function from pixels to bottlenecks, or as a Keras model that can be trained."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import KINDS, check_trainable
from tasks.backbone.kinds.base import LayerNetwork
from tasks.backbone.model_file_errors import UNREADABLE, first_line
from tasks.backbone.weights import checked_weights
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import keras, tf

Network = Callable[[Any], Any]


def load_network(prepared: Prepared, *, bfloat16: bool = False) -> Network:
    """Load a backbone for computing bottlenecks.

    On a GPU, its layers can compute in bfloat16, with weights in float32 (Keras' `mixed_bfloat16`); a graph cannot.

    Returns:
        A function for inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks,
        float32 [N, D]: the concatenated averages of all layers.

    Raises:
        BackboneError: The weights have changed, are damaged, or are of another network.
    """
    layers = load_layers(prepared, bfloat16=bfloat16)
    return lambda pixels: tf.concat(layers(pixels), -1)


def load_layers(prepared: Prepared, *, bfloat16: bool = False) -> LayerNetwork:
    """Load a backbone as `load_network` does, with the averages of each layer, float32 [N, D], separate."""
    backbone = prepared.backbone
    return KINDS[backbone.kind].load_layers(backbone, checked_weights(prepared), bfloat16=bfloat16)


def build_model(prepared: Prepared, *, pretrained: bool = True) -> "keras.Model":
    """Build a backbone whose weights, its own or random ones, can be trained further; fine-tuning takes its last layer.

    Returns:
        A model from pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks, float32 [N, D]: the
        concatenated averages of all its layers.

    Raises:
        SettingError: Its weights are constants of a graph.
        BackboneError: The weights have changed, are damaged, or are of another network.
    """
    kind = check_trainable(prepared.backbone)
    model = kind.build_layers(prepared.backbone, checked_weights(prepared), pretrained=pretrained)
    averages = model.outputs
    joined = keras.layers.Concatenate()(averages) if len(averages) > 1 else averages[0]
    return keras.Model(model.input, joined, name=model.name)


def measure_width(prepared: Prepared) -> Prepared:
    """Measure the widths of a backbone's layers by running it on two pictures, which also shows whether it runs.

    Raises:
        BackboneError: It fails, or a layer gives something other than one vector per picture.
    """
    backbone, size = prepared.backbone, prepared.backbone.size
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3))
    try:
        network = tf.function(load_layers(prepared), autograph=False)
        averages = [np.asarray(vectors) for vectors in network(tf.constant(noise, tf.float32))]
    except UNREADABLE as exc:
        raise BackboneError(
            f"{prepared.weights} fails on photos of {size} pixels ({first_line(exc)}). Give another --image-size or "
            "--bottleneck-tensor, or export it again."
        ) from exc
    keras.utils.clear_session(free_memory=True)
    for layer, vectors in zip(backbone.layers, averages, strict=True):
        if vectors.ndim != 2 or len(vectors) != 2 or not np.isfinite(vectors).all():
            raise BackboneError(
                f"{prepared.weights} gives {vectors.shape} numbers for two pictures{f' at {layer}' if layer else ''} "
                "where one vector of finite numbers each is needed. Name another --bottleneck-tensor, or another "
                "--scaling."
            )
    return replace(prepared, backbone=replace(backbone, widths=tuple(vectors.shape[1] for vectors in averages)))
