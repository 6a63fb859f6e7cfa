"""Runs a network in batches of one size, as one graph whose weights are constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.backbone.frozen_function import freeze_function
from tasks.quiet_tensorflow import tf


class FixedBatch:
    """A function of pixels, always in batches of one size; several threads may call it at once.

    The graph's variables are constants, with batch-norms folded into the convolutions, and its batch size is fixed:
    TensorFlow then never chooses other kernels for a last, smaller batch, so what comes out for a photo does not depend
    on which photos it shares a batch with. The function itself is not kept.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels.
        batch_size: Photos in a batch.
        bfloat16: Whether oneDNN computes convolutions and products in bfloat16 (and sums them up in float32); it does
            so on processors alone.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, batch_size: int, *, bfloat16: bool = False) -> None:
        self.batch_size = batch_size

        def of_bytes(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)

        frozen = freeze_function(of_bytes, size, batch_size)
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(frozen.graph, name="")
        # A session, since it is the only place where the rewriting to bfloat16 is set for one graph and not for all.
        config = tf.compat.v1.ConfigProto()
        if bfloat16:
            rewriting = config.graph_options.rewrite_options
            rewriting.auto_mixed_precision_onednn_bfloat16 = type(rewriting).ON
        config.gpu_options.allow_growth = True
        session = tf.compat.v1.Session(graph=graph, config=config)
        self._run = session.make_callable(frozen.result, feed_list=[frozen.pixels])

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the function.

        Args:
            pixels: uint8 [N, size, size, 3], RGB, 0 to 255, N at most `batch_size`.

        Returns:
            float32 [N, K].
        """
        count = len(pixels)
        padded = pixels
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *pixels.shape[1:]), np.uint8)
            padded[:count] = pixels
        return np.asarray(self._run(padded))[:count]
