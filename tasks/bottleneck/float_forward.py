"""The forward pass in float32 or bfloat16: a backbone frozen into one graph, run by TensorFlow."""

from typing import Literal

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.fixed_batch import FixedBatch
from tasks.backbone.load import load_network
from tasks.bottleneck.hardware import find_hardware
from tasks.quiet_tensorflow import keras

#: What a batch needs at once should fit the processor's cache; a GPU wants much at once.
BATCH_SIZE, GPU_BATCH_SIZE = 8, 64
#: Two batches under way keep all cores busy, since one of them always computes; a third one is decoded meanwhile.
WORKERS = 3


class FloatForward(FixedBatch):
    """Turns pixels, uint8 [N, size, size, 3], into bottlenecks, float32 [N, D], always in batches of one size.

    On a processor, bfloat16 is a rewriting of the graph by oneDNN; for a GPU, the network is built in it.

    Args:
        prepared: The backbone to load.
        batch_size: Photos in a batch; 0 is what goes with the hardware.
        precision: What it computes in.

    Raises:
        BackboneError: The weights are missing or not as they should be.
    """

    def __init__(
        self, prepared: Prepared, batch_size: int = 0, *, precision: Literal["float32", "bfloat16"] = "float32"
    ) -> None:
        gpu = find_hardware().gpu
        halved = precision == "bfloat16"
        super().__init__(
            load_network(prepared, bfloat16=halved and gpu),
            prepared.backbone.size,
            batch_size or (GPU_BATCH_SIZE if gpu else BATCH_SIZE),
            bfloat16=halved and not gpu,
        )
        self.workers = WORKERS
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that nobody needs now.
        keras.utils.clear_session(free_memory=True)
        # TensorFlow rewrites the graph at the first call: no photo should wait for it.
        self(np.zeros((1, prepared.backbone.size, prepared.backbone.size, 3), np.uint8))
