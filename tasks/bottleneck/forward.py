"""The forward pass: from a photo's pixels to its bottleneck, in whichever precision and by whichever engine."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.hardware import available_cores, find_hardware
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

    LiteRT computes in int8; in float32 and bfloat16, TensorFlow on a GPU and OpenVINO on a processor. A network that
    OpenVINO cannot compute, TensorFlow computes in float32, whichever of the two is asked for.

    Args:
        settings: Which backbone, in which precision.
        weights: Where its weights are.
        folder: Of the bottleneck store; a network that was quantised or converted is kept there, beside the bottlenecks
            that it computed.
        progress: Told what is being prepared.

    Raises:
        BackboneError: The weights are missing or not as they should be, or the precision does not go with them.
        StoreError: The network that is kept is damaged.
    """
    prepared = Prepared(settings.backbone, weights)
    if settings.precision == "int8":
        with progress.preparing("imports"):
            from tasks.bottleneck.int8 import Int8Forward, int8_network

        with progress.preparing("network"):
            return Int8Forward(int8_network(prepared, settings.decode, folder, progress), available_cores())
    if not find_hardware().gpu and (forward := _by_openvino(prepared, settings.precision, folder, progress)):
        return forward
    with progress.preparing("imports"):
        from tasks.bottleneck.float_forward import FloatForward

    with progress.preparing("network"):
        return FloatForward(prepared, precision=settings.precision)


def _by_openvino(
    prepared: Prepared, precision: Literal["float32", "bfloat16"], folder: AnyPath, progress: Progress
) -> Forward | None:
    """The forward pass by OpenVINO; None where it cannot compute the network."""
    with progress.preparing("imports"):
        from tasks.bottleneck.openvino_forward import OpenVinoForward
        from tasks.bottleneck.openvino_network import ConversionError, openvino_network

    with progress.preparing("network"):
        try:
            return OpenVinoForward(openvino_network(prepared, folder, progress), precision)
        except ConversionError:
            return None


def forward_of(function: Callable[[Any], Any], size: int, batch_size: int) -> Callable[[Pixels], Vectors]:
    """Make a function that is at hand ready to run in float32: by OpenVINO, or by TensorFlow as in `open_forward`.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels.
        batch_size: Photos in a batch at most.

    Returns:
        From pixels, uint8 [N, size, size, 3], N at most `batch_size`, to float32 [N, K]; threads may call it at once.
    """
    from tasks.backbone.frozen_function import FixedBatch
    from tasks.bottleneck.openvino_forward import OpenVinoForward
    from tasks.bottleneck.openvino_network import ConversionError, convert_network

    if not find_hardware().gpu:
        try:
            return OpenVinoForward(convert_network(function, size), "float32")
        except ConversionError:
            pass
    return FixedBatch(function, size, batch_size)
