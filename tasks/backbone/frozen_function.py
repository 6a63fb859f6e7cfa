"""A function of pixels as one graph: its variables are constants, and batch-norms are folded into convolutions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tasks.backbone.folding import fold_channels
from tasks.backbone.graph_cut import leading_to
from tasks.quiet_tensorflow import freeze, tf


class FrozenGraph(NamedTuple):
    """A function as one graph whose weights are constants.

    Args:
        graph: The graph.
        pixels: The tensor that takes pixels, uint8 [N, S, S, 3].
        result: The tensor that it gives.
    """

    graph: "tf.compat.v1.GraphDef"
    pixels: str
    result: str

    def call(self, pixels: Any) -> Any:
        """Call the function, inside a `tf.function`."""
        (result,) = tf.graph_util.import_graph_def(self.graph, {self.pixels: pixels}, [self.result], name="classifier")
        return result


def freeze_function(function: Callable[[Any], Any], size: int, batch_size: int | None = None) -> FrozenGraph:
    """Make a graph of a function of pixels, with batch-norms folded into convolutions.

    Args:
        function: For inside a `tf.function`: pixels, uint8 [N, size, size, 3], to [N, K].
        size: Height and width of the pixels.
        batch_size: N; None takes any.
    """
    batch = tf.TensorSpec((batch_size, size, size, 3), tf.uint8)
    frozen = freeze(tf.function(function, autograph=False).get_concrete_function(batch))
    pixels, result = frozen.inputs[0].name, frozen.outputs[0].name
    graph = leading_to(frozen.graph.as_graph_def(), result)
    fold_channels(graph, result)
    # Once more, since the filters as they were before are of no use now.
    return FrozenGraph(leading_to(graph, result), pixels, result)
