"""A network is cut out between two tensors, without decoding, checks, devices and classes around it."""

import pytest

from tasks.backbone.subgraph import cut, leading_to
from tasks.errors import BackboneError
from tasks.runtime.tensorflow_import import tf
from tests.backbone.inception import build_graph


@pytest.fixture(scope="module")
def graph() -> tf.compat.v1.GraphDef:
    return build_graph(1 / 64)


def names(graph: tf.compat.v1.GraphDef) -> set[str]:
    return {node.name for node in graph.node}


def test_nodes_before_the_input_and_behind_the_bottleneck_are_dropped(graph: tf.compat.v1.GraphDef) -> None:
    found = names(cut(graph, "conv:0", "conv_2:0"))
    blocks = {name.partition("/")[0] for name in found}
    assert blocks == {"conv", "conv_1", "conv_2"}
    assert "conv" in found
    assert "conv/Conv2D" not in found


def test_the_input_becomes_a_placeholder(graph: tf.compat.v1.GraphDef) -> None:
    (node,) = (node for node in cut(graph, "Mul:0", "conv:0").node if node.name == "Mul")
    assert (node.op, list(node.input), tf.as_dtype(node.attr["dtype"].type)) == ("Placeholder", [], tf.float32)


def test_checks_control_dependencies_and_the_writer_s_devices_are_dropped(graph: tf.compat.v1.GraphDef) -> None:
    written = tf.compat.v1.GraphDef.FromString(graph.SerializeToString())
    for node in written.node:
        node.device = "/job:trainer/gpu:7"
        node.attr["_class"].list.s.append(b"loc:@DecodeJpeg")
        # A check whose value is used, where the others only have to come first.
        if node.name == "conv":
            node.input[0] = "conv/CheckNumerics"
    network = cut(written, "Mul:0", "conv_1:0")
    assert "CheckNumerics" not in {node.op for node in network.node}
    for node in network.node:
        assert not node.device
        assert not [key for key in node.attr if key.startswith("_")]
        assert not [source for source in node.input if source.startswith("^")]
    with tf.Graph().as_default():
        tf.import_graph_def(network)


def test_nodes_that_lead_to_a_tensor_are_kept_with_it(graph: tf.compat.v1.GraphDef) -> None:
    assert names(leading_to(graph, "ExpandDims:0")) == {
        "DecodeJpeg/contents",
        "DecodeJpeg",
        "Cast",
        "ExpandDims",
        "ExpandDims/dim",
    }


@pytest.mark.parametrize(
    ("pixels", "bottleneck", "message"),
    [
        ("mul:0", "pool_3:0", "no tensor 'mul:0'"),
        ("Mul:0", "pool3:0", "no tensor 'pool3:0'; similar names are pool_3:0"),
        ("Mul:0", "zzzzzzzz:0", r"no tensor 'zzzzzzzz:0'\."),
        ("Mul:0", "", r"no tensor ''\."),
        ("Mul:1", "pool_3:0", "into the first output of an operation, not into Mul:1"),
        ("Mul:0", "ExpandDims:0", "ExpandDims:0 does not depend on Mul:0"),
        ("Mul:0", "Mul:0", "Mul:0 does not depend on Mul:0"),
        ("softmax/weights:0", "softmax:0", "softmax:0 also needs DecodeJpeg/contents:0, which nothing feeds"),
    ],
)
def test_tensors_between_which_no_network_lies_are_named_with_the_options(
    graph: tf.compat.v1.GraphDef, pixels: str, bottleneck: str, message: str
) -> None:
    with pytest.raises(BackboneError, match=f"{message}.*--input-tensor and --bottleneck-tensor"):
        cut(graph, pixels, bottleneck)


def test_a_graph_that_is_not_frozen_is_named_with_its_variable() -> None:
    with tf.Graph().as_default() as unfrozen:
        weight = tf.compat.v1.get_variable("weight", [3], use_resource=False)
        tf.multiply(tf.compat.v1.placeholder(tf.float32, None, "pixels"), weight, "bottleneck")
    with pytest.raises(BackboneError, match="is not frozen: weight is a variable"):
        cut(unfrozen.as_graph_def(), "pixels:0", "bottleneck:0")


def test_a_graph_that_lacks_a_node_is_named_as_damaged(graph: tf.compat.v1.GraphDef) -> None:
    damaged = tf.compat.v1.GraphDef(node=[node for node in graph.node if node.name != "conv_1/conv2d_params"])
    with pytest.raises(BackboneError, match=r"damaged: conv_1/Conv2D needs conv_1/conv2d_params"):
        cut(damaged, "Mul:0", "pool_3:0")
