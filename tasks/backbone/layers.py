"""The layers of a Keras model."""

from collections.abc import Iterator
from typing import Any

from tasks.quiet_tensorflow import keras


def leaves(model: "keras.Model") -> Iterator[Any]:
    """All layers in their order; of models within the model, theirs."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer
