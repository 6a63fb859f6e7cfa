"""The forward pass: a backbone frozen into one graph from a photo's pixels to its bottleneck."""

from collections.abc import Callable
from typing import cast

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import load_network
from tasks.bottleneck.extract import Vectors
from tasks.bottleneck.views import Pixels
from tasks.quiet_tensorflow import freeze, keras, tf


class Forward:
    """Turns pixels into bottlenecks, always in batches of one size.

    The graph's variables are constants and its batch size is fixed: TensorFlow then folds the batch-norms into the
    convolutions and never chooses other kernels for a last, smaller batch, so a photo's bottleneck does not depend on
    which photos it shares a batch with.

    Args:
        prepared: The backbone to load.
        batch_size: Photos in a batch.

    Raises:
        BackboneError: The weights are missing or not as they should be.
    """

    def __init__(self, prepared: Prepared, batch_size: int = 8) -> None:
        self.size = prepared.backbone.size
        self.width = prepared.backbone.width
        self.batch_size = batch_size
        self._graph = _freeze(prepared, batch_size)
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that nobody needs now.
        keras.utils.clear_session(free_memory=True)

    def __call__(self, pixels: Pixels) -> Vectors:
        """Compute bottlenecks.

        Args:
            pixels: uint8 [N, size, size, 3], RGB, 0 to 255, N at most `batch_size`.

        Returns:
            float32 [N, D].
        """
        count = len(pixels)
        padded = pixels
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *pixels.shape[1:]), np.uint8)
            padded[:count] = pixels
        return np.asarray(self._graph(tf.constant(padded))[0])[:count]


def _freeze(prepared: Prepared, batch_size: int) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    network, size = load_network(prepared), prepared.backbone.size

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's decorator has no types
    def bottlenecks(pixels: tf.Tensor) -> tf.Tensor:
        return network(tf.cast(pixels, tf.float32))

    frozen = freeze(bottlenecks.get_concrete_function(tf.TensorSpec((batch_size, size, size, 3), tf.uint8)))
    return cast("Callable[[tf.Tensor], list[tf.Tensor]]", frozen)
