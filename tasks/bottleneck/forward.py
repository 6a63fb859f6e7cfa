"""The forward pass: from a photo's pixels to its bottleneck, in whichever precision."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.cores import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress

Vectors = npt.NDArray[np.float32]


class Forward(Protocol):
    """What turns batches of pixels into bottlenecks.

    Args:
        batch_size: Photos in a batch at most.
        workers: How many threads may call it at once, and should, to keep the machine busy.
    """

    batch_size: int
    workers: int

    def __call__(self, pixels: Pixels) -> Vectors:
        """Pixels, uint8 [N, size, size, 3], N at most `batch_size`, to bottlenecks, float32 [N, D]."""


def open_forward(settings: BottleneckSettings, weights: AnyPath, folder: AnyPath, progress: Progress) -> Forward:
    """Make a backbone ready to compute bottlenecks.

    Args:
        settings: Which backbone, in which precision.
        weights: Where its weights are.
        folder: Of the bottleneck store; an int8 network is kept there, beside the bottlenecks that it computed.
        progress: Told what is being prepared.

    Raises:
        BackboneError: The weights are missing or not as they should be, or the precision does not go with them.
        StoreError: The network that is kept is damaged.
    """
    prepared = Prepared(settings.backbone, weights)
    if settings.precision == "int8":
        with progress.preparing("imports"):
            from tasks.bottleneck.int8 import Int8Forward, int8_network  # noqa: PLC0415 (imports LiteRT)

        with progress.preparing("network"):
            return Int8Forward(int8_network(prepared, settings.decode, folder, progress), available_cores())
    with progress.preparing("imports"):
        from tasks.bottleneck.float_forward import FloatForward  # noqa: PLC0415 (imports TensorFlow)

    with progress.preparing("network"):
        return FloatForward(prepared, precision=settings.precision)
