"""Freezes a function of pixels into a graph, for exports."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tasks.runtime.tensorflow_import import freeze, tf


class FrozenGraph(NamedTuple):
    """A function as a graph whose weights are constants.

    Args:
        graph: The graph.
        pixels: Name of the tensor that takes pixels, uint8 [N, S, S, 3].
        result: Name of the tensor that is returned.
    """

    graph: "tf.compat.v1.GraphDef"
    pixels: str
    result: str

    def call(self, pixels: Any) -> Any:
        """Call the function, inside a `tf.function`."""
        (result,) = tf.graph_util.import_graph_def(self.graph, {self.pixels: pixels}, [self.result], name="classifier")
        return result


def freeze_function(function: Callable[[Any], Any], size: int) -> FrozenGraph:
    """Freeze a function of pixels.

    Args:
        function: For inside a `tf.function`: pixels, uint8 [N, size, size, 3], to [N, K].
        size: Height and width of the pixels.
    """
    batch = tf.TensorSpec((None, size, size, 3), tf.uint8)
    frozen = freeze(tf.function(function, autograph=False).get_concrete_function(batch))
    return FrozenGraph(frozen.graph.as_graph_def(), frozen.inputs[0].name, frozen.outputs[0].name)
