"""Runs a network in batches of one size, as one graph whose weights are constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.quiet_tensorflow import freeze, tf


class FixedBatch:
    """A function of pixels, always in batches of one size.

    The graph's variables are constants and its batch size is fixed: TensorFlow then folds the batch-norms into the
    convolutions and never chooses other kernels for a last, smaller batch, so what comes out for a photo does not
    depend on which photos it shares a batch with. The function itself is not kept.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to float32 [N, K].
        size: Height and width of the pixels.
        batch_size: Photos in a batch.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, batch_size: int) -> None:
        self.batch_size = batch_size

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's decorator has no types
        def of_bytes(pixels: tf.Tensor) -> tf.Tensor:
            return function(tf.cast(pixels, tf.float32))

        batch = tf.TensorSpec((batch_size, size, size, 3), tf.uint8)
        self._graph = freeze(of_bytes.get_concrete_function(batch))

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
        return np.asarray(self._graph(tf.constant(padded))[0])[:count]
