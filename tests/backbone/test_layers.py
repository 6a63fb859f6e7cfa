"""Which layers of a Keras model make its bottleneck: by a rule, and by names that every process knows."""

from typing import Any

import pytest

from tasks.backbone.keras_applications import _network, default_size
from tasks.backbone.layers import choose_earlier_layers, stable_names
from tasks.runtime.tensorflow_import import keras

pytestmark = pytest.mark.slow

layers = keras.layers


def convolved(x: Any, width: int, name: str) -> Any:
    """A convolution, a batch-norm, and a ReLU, which a later convolution reads."""
    x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv")(x)
    return layers.ReLU(name=name)(layers.BatchNormalization(name=f"{name}_norm")(x))


def pooled(x: Any, pixels: Any) -> Any:
    return keras.Model(pixels, layers.GlobalAveragePooling2D(name="pooled")(x))


def chain(*widths: int) -> Any:
    """Convolutions of these widths, called `map0` and so on, and their average."""
    x = pixels = keras.Input((16, 16, 3))
    for number, width in enumerate(widths):
        x = convolved(x, width, f"map{number}")
    return pooled(x, pixels)


@pytest.mark.parametrize(
    ("widths", "chosen"),
    [
        ((4, 8, 8, 8, 8, 8, 16), ["map1", "map3", "map5"]),
        ((7, 8, 9, 8, 16), ["map1", "map2", "map3"]),
        ((7, 8, 9, 16), ["map1", "map2"]),
        ((7, 8, 16), ["map1"]),
        ((7, 16), []),
        ((16,), []),
    ],
)
def test_the_first_the_middle_and_the_last_map_of_half_the_width_are_taken(
    widths: tuple[int, ...], chosen: list[str]
) -> None:
    assert choose_earlier_layers(chain(*widths), 16) == [(name, widths[int(name[3:])]) for name in chosen]


def test_a_map_that_is_read_pooled_or_padded_is_taken_itself_and_once() -> None:
    x = pixels = keras.Input((16, 16, 3))
    x = convolved(x, 8, "map")
    branches = [
        layers.Conv2D(4, 1)(x),
        layers.Conv2D(4, 1)(layers.AveragePooling2D(3, 1, padding="same")(x)),
        layers.Conv2D(4, 3)(layers.ZeroPadding2D()(layers.Dropout(0.1)(x))),
    ]
    assert choose_earlier_layers(pooled(layers.Concatenate()(branches), pixels), 12) == [("map", 8)]


def test_output_of_a_gate_of_one_pixel_is_no_map() -> None:
    x = pixels = keras.Input((16, 16, 3))
    x = convolved(x, 8, "map")
    gate = layers.Conv2D(8, 1, name="gate")(layers.GlobalAveragePooling2D(keepdims=True, name="squeezed")(x))
    x = layers.Conv2D(16, 1)(layers.Multiply(name="gated")([x, gate]))
    assert choose_earlier_layers(pooled(x, pixels), 16) == [("gated", 8)]


def test_names_do_not_depend_on_what_keras_has_numbered_before() -> None:
    def network() -> Any:
        x = pixels = keras.Input((16, 16, 3))
        for _ in range(12):
            x = layers.Activation("relu")(layers.Conv2D(4, 1)(x))
        return pooled(layers.Activation("tanh", name="mine")(x), pixels)

    first, second = network(), network()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    names = list(stable_names(first))
    assert list(stable_names(second)) == names
    convolutions = [name for name in names if name.startswith("conv2d")]
    assert convolutions == ["conv2d", *(f"conv2d_{number}" for number in range(1, 12))]
    assert "mine" in names
    assert [stable_names(second)[name].__class__ for name in names] == [layer.__class__ for layer in second.operations]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("VGG16", ["block3_conv1", "block4_conv2", "block5_conv2"]),
        ("InceptionV3", ["mixed8", "mixed9"]),
        ("MobileNetV2", ["block_14_expand_relu", "block_15_depthwise_relu", "block_16_depthwise_relu"]),
        ("EfficientNetB0", ["block5b_expand_activation", "block6b_se_excite", "block7a_se_excite"]),
    ],
)
def test_models_of_keras_have_their_late_maps_taken(name: str, chosen: list[str]) -> None:
    network = _network(name, default_size(name))
    assert [layer for layer, _ in choose_earlier_layers(network, network.output_shape[-1])] == chosen
