"""The forward pass by TensorFlow: on a GPU, and for networks that OpenVINO does not support."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import load_network
from tasks.hardware import find_hardware
from tasks.runtime.tensorflow_import import freeze, keras, tf

#: A GPU is fast with large batches; on a processor, a batch should fit the cache.
BATCH_SIZE, GPU_BATCH_SIZE = 8, 64


class TensorFlowForward:
    """Calls a function of pixels in batches of a fixed size. Several threads may call it at once.

    TensorFlow then never chooses other kernels for a smaller last batch, so the result of a photo does not depend on
    the other photos in its batch. The function's variables are frozen, and the function itself is not kept.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, S, S, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels, S.
        batch_size: Photos in a batch; 0 chooses by the hardware.
    """

    #: Two batches keep the hardware busy, since one of them always computes; a third one is decoded meanwhile.
    workers = 3

    def __init__(self, function: Callable[[Any], Any], size: int, batch_size: int = 0) -> None:
        self.batch_size = batch_size or (GPU_BATCH_SIZE if find_hardware().gpu else BATCH_SIZE)

        def of_bytes(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cast(function(tf.cast(pixels, tf.float32)), tf.float32)

        batch = tf.TensorSpec((self.batch_size, size, size, 3), tf.uint8)
        self._run = freeze(tf.function(of_bytes, autograph=False).get_concrete_function(batch))

    @classmethod
    def load(cls, prepared: Prepared, *, bfloat16: bool = False) -> Self:
        """Load a backbone, whose layers can compute in bfloat16 on a GPU.

        Raises:
            BackboneError: The weights are missing or have changed.
        """
        size = prepared.backbone.size
        forward = cls(load_network(prepared, bfloat16=bfloat16), size)
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that are no longer needed.
        keras.utils.clear_session(free_memory=True)
        # TensorFlow optimises the graph at the first call: no photo should wait for it.
        forward(np.zeros((1, size, size, 3), np.uint8))
        return forward

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run the function on pixels, uint8 [N, S, S, 3], RGB, 0 to 255, N at most `batch_size`: float32 [N, K]."""
        count = len(pixels)
        padded = pixels
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *pixels.shape[1:]), np.uint8)
            padded[:count] = pixels
        (result,) = self._run(tf.constant(padded))
        return np.asarray(result)[:count]
