"""The layers of a Keras model, and their averages over the picture."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.runtime.tensorflow_import import keras

#: Layers whose result has about the averages of what they take, or a multiple of them.
_COPIES = (
    *(keras.layers.AveragePooling2D, keras.layers.MaxPooling2D, keras.layers.ZeroPadding2D, keras.layers.Cropping2D),
    *(keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.Identity),
)


def leaves(model: "keras.Model") -> Iterator[Any]:
    """All layers in their order; of models within the model, theirs."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def layer_averages(pixels: Any, scaled: Any, network: "keras.Model") -> "keras.Model":
    """Build the model that a backbone is.

    Args:
        pixels: Its input, float32 [N, size, size, 3], RGB, 0 to 255.
        scaled: The same as the network wants them.
        network: From scaled pixels to the activations of its layers.

    Returns:
        A model from pixels to float32 [N, D] of each layer: feature maps are averaged over the picture, all else is
        left as it is.
    """
    # Keras gives what is alone in a list without it.
    of_layers = keras.tree.flatten(network(scaled))
    averages = [keras.ops.cast(_average(activations), "float32") for activations in of_layers]
    return keras.Model(pixels, averages, name=network.name)


def _average(activations: Any) -> Any:
    return keras.layers.GlobalAveragePooling2D()(activations) if len(activations.shape) == 4 else activations


def side_by_side(averages: Sequence[Any]) -> Any:
    """Join Keras tensors [N, D] of the same N as one."""
    return keras.layers.Concatenate()(averages) if len(averages) > 1 else averages[0]


def stable_names(model: "keras.Model") -> dict[str, Any]:
    """The operations of a model by names that are the same in every process, in their topological order.

    Keras numbers what has no name of its own, such as `activation_37`, in the order in which a process makes it. Here
    such numbers begin with 0 in each model.
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
    """Choose the layers whose averages are added to a bottleneck.

    Candidates are the feature maps that a layer with a kernel, such as a convolution, reads later on, directly or
    pooled or padded, and that are at least half as wide as the bottleneck. Of these the first, the middle and the last
    one in topological order are taken, or as many as there are. The last map of a network is read by the pooling alone,
    so it is none of them. A model within the model counts as none of its layers.

    Args:
        model: From pixels to the bottleneck.
        width: Numbers in the bottleneck.

    Returns:
        Their stable names, and how many numbers the average of each has.
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
    """Write a class's name as Keras does where it names a layer of that class."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()


def _maker(makers: dict[int, Any], tensor: Any) -> Any:
    """The operation that makes a tensor, before any pooling, padding and dropout; None of an inner model."""
    maker = makers.get(id(tensor))
    while isinstance(maker, _COPIES):
        maker = makers.get(id(maker.input))
    return maker


def _is_wide_map(tensor: Any, least: float) -> bool:
    shape = tuple(getattr(tensor, "shape", ()))
    return len(shape) == 4 and shape[1:3] != (1, 1) and bool(shape[3] >= least)
