"""Folding: batch-norms vanish into the convolutions before them, and the numbers stay what they were."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.backbone.folding import fold_channels
from tasks.backbone.graph_cut import leading_to
from tasks.quiet_tensorflow import freeze, keras, tf

PIXELS = np.random.default_rng(0).uniform(-1, 1, (3, 12, 12, 4)).astype(np.float32)
layers = keras.layers


def network(*stack: Any) -> Any:
    """A model of these layers whose batch-norms scale and shift each channel by its own numbers."""
    model = keras.Sequential([keras.Input((12, 12, 4)), *stack])
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return model


def folded(function: Any) -> tuple[Counter[str], Any]:
    """Fold a function: how often each op is left in the graph, and what it makes of `PIXELS`."""
    frozen = freeze(tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(PIXELS.shape)))
    into, out = frozen.inputs[0].name, frozen.outputs[0].name
    graph = leading_to(frozen.graph.as_graph_def(), out)
    fold_channels(graph, out)
    graph = leading_to(graph, out)
    with tf.Graph().as_default() as imported:
        tf.graph_util.import_graph_def(graph, name="")
        with tf.compat.v1.Session(graph=imported) as session:
            return Counter(node.op for node in graph.node), session.run(out, {into: PIXELS})


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        lambda use_bias: layers.Conv2D(5, 3, strides=2, padding="same", use_bias=use_bias, bias_initializer="normal"),
        lambda use_bias: layers.DepthwiseConv2D(3, use_bias=use_bias, bias_initializer="normal"),
        lambda use_bias: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=use_bias, bias_initializer="normal"),
    ],
)
@pytest.mark.parametrize("batch_norm", [{}, {"scale": False}, {"center": False}])
def test_batch_norm_becomes_the_bias_of_the_convolution_before_it(
    make: Callable[[bool], Any], use_bias: bool, batch_norm: dict[str, bool]
) -> None:
    model = network(make(use_bias), layers.BatchNormalization(**batch_norm))
    ops, got = folded(lambda pixels: model(pixels, training=False))
    assert ops["BiasAdd"] == 1
    assert not ops["Mul"] + ops["AddV2"] + ops["Rsqrt"]
    np.testing.assert_allclose(got, model(PIXELS, training=False), rtol=1e-4, atol=1e-5)


def test_chain_of_convolutions_is_folded_throughout() -> None:
    model = network(
        *(layers.Conv2D(6, 1, use_bias=False), layers.BatchNormalization(), layers.ReLU(6.0)),
        *(layers.DepthwiseConv2D(3, use_bias=False), layers.BatchNormalization(), layers.ReLU(6.0)),
    )
    ops, got = folded(lambda pixels: model(pixels, training=False))
    assert (ops["BiasAdd"], ops["Mul"], ops["AddV2"]) == (2, 0, 0)
    np.testing.assert_allclose(got, model(PIXELS, training=False), rtol=1e-4, atol=1e-5)


def test_convolution_that_something_else_reads_too_stays_as_it_is() -> None:
    convolve, batch_norm = layers.Conv2D(4, 1, use_bias=False), layers.BatchNormalization()

    def both(pixels: Any) -> Any:
        convolved = convolve(pixels)
        return batch_norm(convolved, training=False) * convolved

    expected = both(PIXELS)
    ops, got = folded(both)
    assert ops["BiasAdd"] == 0
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_sum_that_is_not_channel_by_channel_stays_as_it_is() -> None:
    convolve, places = layers.Conv2D(4, 1, use_bias=False), np.random.default_rng(2).normal(size=(12, 12, 1))
    expected = convolve(PIXELS) + places.astype(np.float32)
    ops, got = folded(lambda pixels: convolve(pixels) + places.astype(np.float32))
    assert (ops["AddV2"], ops["BiasAdd"]) == (1, 0)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_sum_of_two_convolutions_stays_a_sum() -> None:
    one, other = layers.Conv2D(4, 1), layers.Conv2D(4, 1)
    expected = one(PIXELS) + other(PIXELS)
    ops, got = folded(lambda pixels: one(pixels) + other(pixels))
    assert ops["AddV2"] == 1
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_one_number_for_all_channels_is_folded_too() -> None:
    convolve = layers.Conv2D(4, 1, use_bias=False)
    expected = convolve(PIXELS) * 2.0 + 3.0
    ops, got = folded(lambda pixels: convolve(pixels) * 2.0 + 3.0)
    assert (ops["BiasAdd"], ops["Mul"], ops["AddV2"]) == (1, 0, 0)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
