"""The forward pass: a backbone frozen into one graph from a photo's pixels to its bottleneck."""

from tasks.backbone.backbones import Prepared
from tasks.backbone.fixed_batch import FixedBatch
from tasks.backbone.load import load_network
from tasks.quiet_tensorflow import keras


class Forward(FixedBatch):
    """Turns pixels, uint8 [N, size, size, 3], into bottlenecks, float32 [N, D], always in batches of one size.

    Args:
        prepared: The backbone to load.
        batch_size: Photos in a batch.

    Raises:
        BackboneError: The weights are missing or not as they should be.
    """

    def __init__(self, prepared: Prepared, batch_size: int = 8) -> None:
        super().__init__(load_network(prepared), prepared.backbone.size, batch_size)
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that nobody needs now.
        keras.utils.clear_session(free_memory=True)
