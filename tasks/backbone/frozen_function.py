"""Freezes a function of pixels: into a graph for exports, or to be run in batches of a fixed size."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.runtime.tensorflow_import import freeze, tf


class FrozenGraph(NamedTuple):
    """A function as a graph whose weights are constants, with the names of two tensors.

    The first one takes pixels, uint8 [N, S, S, 3]; the second one is returned.
    """

    graph: "tf.compat.v1.GraphDef"
    pixels: str
    result: str

    def call(self, pixels: Any) -> Any:
        """Call the function, inside a `tf.function`."""
        (result,) = tf.graph_util.import_graph_def(self.graph, {self.pixels: pixels}, [self.result], name="classifier")
        return result


def freeze_function(function: Callable[[Any], Any], size: int) -> FrozenGraph:
    """Freeze a function for inside a `tf.function`: pixels, uint8 [N, size, size, 3], to [N, K]."""
    frozen = _frozen(function, None, size)
    return FrozenGraph(frozen.graph.as_graph_def(), frozen.inputs[0].name, frozen.outputs[0].name)


class FixedBatch:
    """Calls a function of pixels in batches of a fixed size: on a GPU, or where OpenVINO cannot compute it.

    TensorFlow then never chooses other kernels for a smaller last batch, so the result of a photo does not depend on
    the other photos in its batch. The function's variables are frozen, and the function itself is not kept. Several
    threads may call it at once.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels, S.
        batch_size: Photos in a batch.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, batch_size: int) -> None:
        self.batch_size = batch_size
        self._run = _frozen(lambda pixels: tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32), batch_size, size)

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the function on pixels, uint8 [N, S, S, 3], RGB, 0 to 255, N at most `batch_size`: to float32 [N, K]."""
        count = len(pixels)
        padded = np.pad(pixels, [(0, self.batch_size - count), (0, 0), (0, 0), (0, 0)])
        (result,) = self._run(tf.constant(padded))
        return np.asarray(result)[:count]


def _frozen(function: Callable[[Any], Any], batch_size: int | None, size: int) -> Any:
    batch = tf.TensorSpec((batch_size, size, size, 3), tf.uint8)
    return freeze(tf.function(function, autograph=False).get_concrete_function(batch))
