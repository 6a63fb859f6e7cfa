"""The forward pass by TensorFlow: on a GPU, and of a network that OpenVINO cannot compute."""

from typing import Literal

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.frozen_function import FixedBatch
from tasks.backbone.load import load_network
from tasks.hardware import find_hardware
from tasks.runtime.tensorflow_import import keras

#: A GPU wants much at once; what a batch needs at once should fit a processor's cache.
BATCH_SIZE, GPU_BATCH_SIZE = 8, 64
#: Two batches under way keep the hardware busy, since one of them always computes; a third one is decoded meanwhile.
WORKERS = 3


class FloatForward(FixedBatch):
    """Turns pixels, uint8 [N, size, size, 3], into bottlenecks, float32 [N, D], always in batches of one size.

    Args:
        prepared: The backbone to load.
        batch_size: Photos in a batch; 0 is what goes with the hardware.
        precision: What a GPU computes in; a processor computes in float32 here.

    Raises:
        BackboneError: The weights are missing or not as they should be.
    """

    def __init__(
        self, prepared: Prepared, batch_size: int = 0, *, precision: Literal["float32", "bfloat16"] = "float32"
    ) -> None:
        gpu, size = find_hardware().gpu, prepared.backbone.size
        network = load_network(prepared, bfloat16=precision == "bfloat16" and gpu)
        super().__init__(network, size, batch_size or (GPU_BATCH_SIZE if gpu else BATCH_SIZE))
        self.workers = WORKERS
        # Keras remembers the model, and the model and its graphs refer to each other: 200 MB that nobody needs now.
        keras.utils.clear_session(free_memory=True)
        # TensorFlow optimises the graph at the first call: no photo should wait for it.
        self(np.zeros((1, size, size, 3), np.uint8))
