"""Loads a backbone: as a frozen function from pixels to bottlenecks, or as a Keras model that can be trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.backbone.backbones import TRAINABLE, Backbone, Prepared
from tasks.backbone.layers import layer_averages, side_by_side
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import keras, tf
from tasks.storage.files import local

Network = Callable[[Any], Any]
LayerNetwork = Callable[[Any], tuple[Any, ...]]


def load_network(prepared: Prepared, *, bfloat16: bool = False) -> Network:
    """Load a backbone for computing bottlenecks.

    Args:
        prepared: The backbone.
        bfloat16: Whether its layers compute in bfloat16, with weights in float32 (Keras' `mixed_bfloat16`): for a
            network that is built here, on a GPU. A graph or a file stays as it is.

    Returns:
        A function for inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks,
        float32 [N, D]: the averages of all layers side by side.

    Raises:
        BackboneError: The weights are not those of the backbone, or are not as they should be.
    """
    layers = load_layers(prepared, bfloat16=bfloat16)
    return lambda pixels: tf.concat(layers(pixels), -1)


def load_layers(prepared: Prepared, *, bfloat16: bool = False) -> LayerNetwork:
    """Load a backbone as `load_network` does, but for the averages of each layer by themselves.

    Args:
        prepared: The backbone.
        bfloat16: As for `load_network`.

    Returns:
        A function for inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to float32 [N, D] of
        each layer.

    Raises:
        BackboneError: The weights are not those of the backbone, or are not as they should be.
    """
    backbone = prepared.backbone
    if backbone.kind in TRAINABLE:
        with _computing_in("mixed_bfloat16" if bfloat16 else "float32"):
            model = _build_layers(prepared, pretrained=True)
        return lambda pixels: tuple(keras.tree.flatten(model(pixels, training=False)))
    weights = _checked_weights(prepared)
    if backbone.kind == "frozen_graph":
        from tasks.backbone.frozen_graph import frozen_network  # noqa: PLC0415 (only where it is one)

        graph = frozen_network(weights, backbone.input_tensor, *backbone.layers)
        return lambda pixels: graph(SCALINGS[backbone.scaling].apply(pixels))
    from tasks.backbone.saved_models import saved_network  # noqa: PLC0415 (only where it is one)

    return saved_network(backbone, weights)


def build_model(prepared: Prepared, *, pretrained: bool = True) -> "keras.Model":
    """Build a backbone whose weights can be trained further; `Backbone.last_layer` is what is fine-tuned.

    Args:
        prepared: The backbone.
        pretrained: Whether it has its own weights; else they are random, as they are before any training.

    Returns:
        A model from pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks, float32 [N, D]: the averages of
        all its layers side by side.

    Raises:
        SettingError: It is a graph, whose weights are constants.
        BackboneError: The weights are not those of the backbone, or are not as they should be.
    """
    model = _build_layers(prepared, pretrained=pretrained)
    return keras.Model(model.input, side_by_side(model.outputs), name=model.name)


def _build_layers(prepared: Prepared, *, pretrained: bool) -> "keras.Model":
    """Build a model from pixels to the averages of each layer; see `build_model`."""
    backbone = prepared.backbone
    backbone.check_trainable()
    weights = _checked_weights(prepared)
    if backbone.kind == "keras_application":
        from tasks.backbone.keras_applications import build  # noqa: PLC0415 (only where it is one)

        return build(backbone, weights if pretrained else None)
    if backbone.kind == "keras_file":
        from tasks.backbone.keras_files import build_keras  # noqa: PLC0415 (only where it is one)

        return build_keras(backbone, weights, pretrained=pretrained)
    return _build_lite(backbone, weights if pretrained else None)


def measure_width(prepared: Prepared) -> Prepared:
    """Learn the widths of a backbone's layers by running it on two pictures.

    Raises:
        BackboneError: A layer makes something else than one vector a picture.
    """
    backbone = prepared.backbone
    noise = np.random.default_rng(0).integers(0, 256, (2, backbone.size, backbone.size, 3))
    network = tf.function(load_layers(prepared), autograph=False)
    averages = [np.asarray(vectors) for vectors in network(tf.constant(noise, tf.float32))]
    keras.utils.clear_session(free_memory=True)
    for layer, vectors in zip(backbone.layers, averages, strict=True):
        if vectors.ndim != 2 or len(vectors) != 2 or not np.isfinite(vectors).all():
            raise BackboneError(
                f"{prepared.weights} makes {vectors.shape} numbers of two pictures{f' at {layer}' if layer else ''} "
                "where one vector of finite numbers each is needed. Name another --bottleneck-tensor, or another "
                "--scaling."
            )
    return replace(prepared, backbone=replace(backbone, widths=tuple(vectors.shape[1] for vectors in averages)))


@contextmanager
def _computing_in(policy: str) -> Iterator[None]:
    """Let the layers that are built in the block compute in this."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _checked_weights(prepared: Prepared) -> Path:
    """The weights on this machine, wherever they are kept; the one place where they are fetched from an object store.

    Raises:
        BackboneError: They are not those of the backbone.
    """
    weights = prepared.weights
    try:
        here = local(weights)
        found = weights_sha256(here) if here == weights else _sha256_of_fetched(here)
    except FileNotFoundError:
        here, found = Path(), "no file"
    if found != prepared.backbone.weights_sha256:
        raise BackboneError(
            f"{weights} has changed since the run began: its sha256 is {found}, not "
            f"{prepared.backbone.weights_sha256}. Start the run again."
        )
    return here


@cache
def _sha256_of_fetched(path: Path) -> str:
    """Hash what was fetched, which stays as it is until this process ends."""
    return weights_sha256(path)


def _build_lite(backbone: Backbone, weights: Path | None) -> "keras.Model":
    from tasks.backbone import efficientnet_lite  # noqa: PLC0415 (only where it is one)
    from tasks.backbone.torch_weights import read_torch_weights  # noqa: PLC0415

    model = efficientnet_lite.build(int(backbone.model), backbone.size)
    if weights is not None:
        efficientnet_lite.load_weights(model, read_torch_weights(weights))
    activations = [model.get_layer(name).output for name in backbone.layers]
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    network = keras.Model(model.input, activations, name=model.name)
    return layer_averages(pixels, SCALINGS[backbone.scaling].apply(pixels), network)
