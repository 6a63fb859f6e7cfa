"""Legacy batch norms are folded, and the results are those of their formula."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks.backbone.frozen_graph import modernise
from tasks.backbone.legacy_batch_norm import LEGACY_BATCH_NORM
from tasks.runtime.tensorflow_import import tf
from tests.backbone.networks import untouched_graph

Array = npt.NDArray[Any]

EPSILON = 0.01
CHANNELS = 6
RANDOM = np.random.default_rng(11)
FILTERS = RANDOM.normal(0, 1, (3, 3, 3, CHANNELS)).astype(np.float32)
DEPTHWISE = RANDOM.normal(0, 1, (3, 3, 3, CHANNELS // 3)).astype(np.float32)
MEAN, BETA, GAMMA = RANDOM.normal(0, 1, (3, CHANNELS)).astype(np.float32)
VARIANCE = RANDOM.uniform(0.1, 4, CHANNELS).astype(np.float32)
PIXELS = RANDOM.normal(0, 1, (2, 5, 4, 3)).astype(np.float32)


def before(kind: str, pixels: tf.Tensor) -> tf.Tensor:
    if kind == "depthwise":
        return tf.nn.depthwise_conv2d(pixels, DEPTHWISE, (1, 1, 1, 1), "SAME", name="before")
    if kind == "none":
        return tf.concat([pixels, pixels], 3, name="before")
    # A filter that was a variable is read through an Identity.
    filters = tf.compat.v1.placeholder_with_default(FILTERS, FILTERS.shape) if kind == "open" else tf.identity(FILTERS)
    return tf.nn.conv2d(pixels, filters, 1, "SAME", name="before")


def written(kind: str, *, scaled: bool) -> tf.compat.v1.GraphDef:
    """A graph of 2015 from `pixels` over `before` and a batch-norm to `after`."""
    with tf.Graph().as_default() as graph:
        before(kind, tf.compat.v1.placeholder(tf.float32, (None, 5, 4, 3), "pixels"))
        for name, value in {"mean": MEAN, "variance": VARIANCE, "beta": BETA, "gamma": GAMMA}.items():
            tf.constant(value, name=name)
    definition = graph.as_graph_def()
    definition.versions.producer = 8
    # By hand, since TensorFlow refuses to add one.
    norm = definition.node.add(name="norm", op=LEGACY_BATCH_NORM, input=["before", "mean", "variance", "beta", "gamma"])
    norm.attr["variance_epsilon"].f = EPSILON
    norm.attr["scale_after_normalization"].b = scaled
    after = definition.node.add(name="after", op="Add", input=["norm", "before" if kind == "read twice" else "beta"])
    for node in (norm, after):
        node.attr["T"].type = tf.float32.as_datatype_enum
    return definition


def run(graph: tf.compat.v1.GraphDef, fetched: str) -> Array:
    with untouched_graph(graph) as session:
        return session(fetched, "pixels:0", PIXELS)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize(
    ("kind", "ops"),
    [
        ("convolution", {"BiasAdd": 1, "Conv2D": 1}),
        ("depthwise", {"BiasAdd": 1, "DepthwiseConv2dNative": 1}),
        ("read twice", {"Mul": 1, "Conv2D": 1}),
        ("open", {"Mul": 1, "Conv2D": 1}),
        ("none", {"Mul": 1}),
    ],
)
def test_a_batch_norm_is_its_formula(kind: str, ops: dict[str, int], scaled: bool) -> None:
    graph = written(kind, scaled=scaled)
    modern = modernise(graph, "pixels:0", "after:0")
    x = run(graph, "before:0").astype(np.float64)
    expected = (x - MEAN) / np.sqrt(VARIANCE + EPSILON) * (GAMMA if scaled else 1) + BETA
    expected += x if kind == "read twice" else BETA
    np.testing.assert_allclose(run(modern, "after:0"), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run(graph, "after:0"), expected, rtol=1e-4, atol=1e-5)
    counted = Counter(node.op for node in modern.node)
    assert LEGACY_BATCH_NORM not in counted
    assert {op: counted[op] for op in ("BiasAdd", "Mul", "Conv2D", "DepthwiseConv2dNative") if counted[op]} == ops


def test_the_unscaled_filter_is_dropped() -> None:
    modern = modernise(written("convolution", scaled=True), "pixels:0", "after:0")
    constants = [tf.make_ndarray(node.attr["value"].tensor) for node in modern.node if node.op == "Const"]
    assert sum(value.shape == FILTERS.shape for value in constants) == 1


def test_a_convolution_that_is_itself_the_bottleneck_stays_as_it_is() -> None:
    graph = written("convolution", scaled=True)
    np.testing.assert_array_equal(run(modernise(graph, "pixels:0", "before:0"), "before:0"), run(graph, "before:0"))
