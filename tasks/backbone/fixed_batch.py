"""Runs a network with TensorFlow in batches of a fixed size: on a GPU, or where OpenVINO cannot compute it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.runtime.tensorflow_import import freeze, tf


class FixedBatch:
    """Calls a function of pixels in batches of a fixed size. Several threads may call it at once.

    TensorFlow then never chooses other kernels for a smaller last batch, so the result of a photo does not depend on
    the other photos in its batch. The function's variables are frozen, and the function itself is not kept.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels, S.
        batch_size: Photos in a batch.
    """

    def __init__(self, function: Callable[[Any], Any], size: int, batch_size: int) -> None:
        self.batch_size = batch_size

        def of_bytes(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)

        batch = tf.TensorSpec((batch_size, size, size, 3), tf.uint8)
        self._run = freeze(tf.function(of_bytes, autograph=False).get_concrete_function(batch))

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the function.

        Args:
            pixels: uint8 [N, S, S, 3], RGB, 0 to 255, N at most `batch_size`.

        Returns:
            float32 [N, K].
        """
        count = len(pixels)
        padded = pixels
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *pixels.shape[1:]), np.uint8)
            padded[:count] = pixels
        (result,) = self._run(tf.constant(padded))
        return np.asarray(result)[:count]
