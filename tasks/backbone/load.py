"""Loads a backbone: as a frozen function from pixels to bottlenecks, or as a Keras model that can be trained."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tasks.artifacts import local
from tasks.backbone.backbones import TRAINABLE, Backbone, Prepared
from tasks.backbone.layers import average, side_by_side
from tasks.backbone.scaling import SCALINGS
from tasks.backbone.weights import weights_sha256
from tasks.errors import BackboneError
from tasks.paths import is_remote
from tasks.quiet_tensorflow import keras, tf

Network = Callable[[Any], Any]


def load_network(prepared: Prepared, *, bfloat16: bool = False) -> Network:
    """Load a backbone for computing bottlenecks.

    Args:
        prepared: The backbone.
        bfloat16: Whether its layers compute in bfloat16, with weights in float32 (Keras' `mixed_bfloat16`): for a
            network that is built here, on a GPU. A graph or a file stays as it is.

    Returns:
        A function for inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks
        [N, D] of whatever it computes in.

    Raises:
        BackboneError: The weights are not those of the backbone, or are not as they should be.
    """
    backbone = prepared.backbone
    if backbone.kind in TRAINABLE:
        with _computing_in("mixed_bfloat16" if bfloat16 else "float32"):
            model = build_model(prepared)
        return lambda pixels: model(pixels, training=False)
    weights = _checked_weights(prepared)
    if backbone.kind == "frozen_graph":
        from tasks.backbone.frozen_graph import frozen_network  # noqa: PLC0415 (only where it is one)

        graph = frozen_network(weights, backbone.input_tensor, backbone.layers[0])
        return lambda pixels: graph(SCALINGS[backbone.scaling].apply(pixels))
    from tasks.backbone.saved_models import saved_network  # noqa: PLC0415 (only where it is one)

    return saved_network(backbone, weights)


def build_model(prepared: Prepared, *, pretrained: bool = True) -> "keras.Model":
    """Build a backbone whose weights can be trained further.

    Args:
        prepared: The backbone.
        pretrained: Whether it has its own weights; else they are random, as they are before any training.

    Returns:
        A model from pixels, float32 [N, size, size, 3], RGB, 0 to 255, to bottlenecks, float32 [N, D].

    Raises:
        SettingError: It is a graph, whose weights are constants.
        BackboneError: The weights are not those of the backbone, or are not as they should be.
    """
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
    """Learn the width of a backbone's bottleneck by running it on two pictures.

    Raises:
        BackboneError: What comes is not one vector a picture.
    """
    backbone = prepared.backbone
    noise = np.random.default_rng(0).integers(0, 256, (2, backbone.size, backbone.size, 3))
    network = tf.function(load_network(prepared), autograph=False)
    vectors = np.asarray(network(tf.constant(noise, tf.float32)))
    keras.utils.clear_session(free_memory=True)
    if vectors.ndim != 2 or len(vectors) != 2 or not np.isfinite(vectors).all():
        raise BackboneError(
            f"{prepared.weights} makes {vectors.shape} numbers of two pictures where one vector of finite numbers each "
            "is needed. Name another --bottleneck-tensor, or another --scaling."
        )
    return replace(prepared, backbone=replace(backbone, widths=(vectors.shape[1],)))


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
    hashed = _sha256_of_fetched if is_remote(weights) else weights_sha256
    try:
        here = local(weights)
        found = hashed(here)
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
    averages = [model.outputs[0], *(average(model.get_layer(name).output) for name in backbone.layers[1:])]
    below_classes = keras.Model(model.input, side_by_side(averages), name=model.name)
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    bottleneck = below_classes(SCALINGS[backbone.scaling].apply(pixels))
    return keras.Model(pixels, bottleneck, name=model.name)
