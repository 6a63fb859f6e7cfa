"""The layers of a Keras model, and their averages over the picture."""

from collections.abc import Iterator, Sequence
from typing import Any

from tasks.quiet_tensorflow import keras


def leaves(model: "keras.Model") -> Iterator[Any]:
    """All layers in their order; of models within the model, theirs."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def average(activations: Any) -> Any:
    """Average a Keras tensor over the picture, where it is a feature map [N, H, W, D]; any other is left as it is."""
    return keras.layers.GlobalAveragePooling2D()(activations) if len(activations.shape) == 4 else activations


def side_by_side(averages: Sequence[Any]) -> Any:
    """Join Keras tensors [N, D] of the same N as one."""
    return keras.layers.Concatenate()(averages) if len(averages) > 1 else averages[0]
