"""Models of keras.applications with random weights, their files, and their description as backbones."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.backbone.keras_applications import prepare
from tasks.backbone.request import BackboneRequest
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.runtime.tensorflow_import import keras

SIZE = 32
SMALL = "keras:MobileNet"
Array = npt.NDArray[Any]

#: Eight pictures, uint8 [8, 32, 32, 3], as smooth as photos.
PIXELS = np.random.default_rng(5).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)


def network(name: str, *, top: bool = False) -> Any:
    """Build one as anybody would, with random weights."""
    shape = {} if top else {"input_shape": (SIZE, SIZE, 3), "pooling": "avg"}
    return getattr(keras.applications, name)(include_top=top, weights=None, **shape)


def see(model: Any, scaled: Array) -> Any:
    """Give each batch-norm the statistics of pictures; with others, random weights make all bottlenecks alike."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(scaled, training=True)
    return model


def written(model: Any, file: Path) -> Path:
    (model.save_weights if file.name.endswith(".weights.h5") else model.save)(file)
    return file


def prepared(folder: AnyPath, name: str = SMALL, weights: object = "", size: int = SIZE, **wishes: Any) -> Prepared:
    return prepare(BackboneRequest(name, str(weights), size, **wishes), folder, NullProgress())


def assert_close(got: Array, expected: Array) -> None:
    """The same to what float32 allows over many layers, and not the same for all photos."""
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected - expected[0]).max() > 0.01 * np.abs(expected).max()
