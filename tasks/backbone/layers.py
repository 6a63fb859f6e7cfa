"""The layers of a Keras model, and their averages over the picture."""

import re
from collections.abc import Iterator
from typing import Any

from tasks.runtime.tensorflow_import import keras

#: Layers whose output has about the averages of their input, or a multiple of them.
_COPIES = (
    *(keras.layers.AveragePooling2D, keras.layers.MaxPooling2D, keras.layers.ZeroPadding2D, keras.layers.Cropping2D),
    *(keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.Identity),
)


def leaves(model: "keras.Model") -> Iterator[Any]:
    """Iterate over all layers in order, also over those of models within the model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def layer_averages(pixels: Any, scaled: Any, network: "keras.Model") -> "keras.Model":
    """Build the Keras model of a backbone.

    Args:
        pixels: The model's input: float32 [N, size, size, 3], RGB, 0 to 255.
        scaled: The pixels in the range that the network takes.
        network: From scaled pixels to the activations of its layers.

    Returns:
        A model from pixels, float32 [N, size, size, 3], RGB, 0 to 255, to float32 [N, D] of each layer: feature maps
        are averaged over the picture, other outputs stay as they are.
    """
    # Keras returns the only item of a list without the list.
    averages = [
        keras.ops.cast(keras.layers.GlobalAveragePooling2D()(part) if len(part.shape) == 4 else part, "float32")
        for part in keras.tree.flatten(network(scaled))
    ]
    return keras.Model(pixels, averages, name=network.name)


def stable_names(model: "keras.Model") -> dict[str, Any]:
    """Map names that are the same in every process to the operations of a model, in topological order.

    Keras numbers operations without a name, such as `activation_37`, in the order in which a process makes them. Here
    the numbers start at 0 in each model.
    """
    numbered: dict[str, list[tuple[int, Any]]] = {}
    for operation in model.operations:
        kind = _snake_case(type(operation).__name__)
        if match := re.fullmatch(rf"{kind}(?:_(\d+))?", operation.name):
            numbered.setdefault(kind, []).append((int(match[1] or 0), operation))
    names = {
        id(operation): f"{kind}_{place}" if place else kind
        for kind, found in numbered.items()
        for place, (_, operation) in enumerate(sorted(found, key=lambda pair: pair[0]))
    }
    return {names.get(id(operation), operation.name): operation for operation in model.operations}


def choose_earlier_layers(model: "keras.Model", width: int) -> list[tuple[str, int]]:
    """Choose the earlier layers whose averages are added to a bottleneck.

    Candidates are the feature maps that are at least half as wide as the bottleneck, and that a later layer with a
    kernel, such as a convolution, reads directly, pooled or padded. The first, the middle and the last candidate in
    topological order are chosen, or as many as there are. Only the pooling reads the last map of a network, so it is
    no candidate. Layers of a model within the model are no candidates.

    Returns:
        Stable names and widths of the layers.
    """
    named = stable_names(model)
    makers = {id(tensor): operation for operation in named.values() for tensor in keras.tree.flatten(operation.output)}
    read: set[int] = set()
    for operation in named.values():
        if any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ())):
            read.update(id(_maker(makers, tensor)) for tensor in keras.tree.flatten(operation.input))
    candidates = [
        (name, int(operation.output.shape[-1]))
        for name, operation in named.items()
        if id(operation) in read and _is_wide_map(operation.output, width / 2)
    ]
    chosen = sorted({0, len(candidates) // 2, len(candidates) - 1}) if candidates else []
    return [candidates[place] for place in chosen]


def _snake_case(name: str) -> str:
    """Convert a class's name as Keras does for the name of a layer."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def _maker(makers: dict[int, Any], tensor: Any) -> Any:
    """Return the operation that makes a tensor, before any pooling, padding or dropout; None of an inner model."""
    maker = makers.get(id(tensor))
    while isinstance(maker, _COPIES):
        maker = makers.get(id(maker.input))
    return maker


def _is_wide_map(tensor: Any, least: float) -> bool:
    shape = tuple(getattr(tensor, "shape", ()))
    return len(shape) == 4 and shape[1:3] != (1, 1) and bool(shape[3] >= least)
