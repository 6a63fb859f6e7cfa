"""The forward pass: from a photo's pixels to its bottleneck, in any precision and by any engine."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Prepared
from tasks.backbone.kinds import KINDS
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.hardware import available_cores, find_hardware
from tasks.paths import AnyPath
from tasks.progress import Progress

Vectors = npt.NDArray[np.float32]


class Forward(Protocol):
    """Computes bottlenecks from batches of pixels."""

    batch_size: int  #: Photos of a batch at most.
    workers: int  #: Threads that may call it at once, and should, to keep the machine busy.

    def __call__(self, pixels: Pixels) -> Vectors:
        """Pixels, uint8 [N, size, size, 3], N at most `batch_size`, to bottlenecks, float32 [N, D]."""


def open_forward(settings: BottleneckSettings, weights: AnyPath, folder: AnyPath, progress: Progress) -> Forward:
    """Load a backbone to compute bottlenecks.

    LiteRT computes int8. TensorFlow computes float32 and bfloat16 on a GPU, OpenVINO on a processor; a network that
    OpenVINO cannot compute, TensorFlow computes in float32 for either precision.

    Args:
        settings: The backbone and its precision.
        weights: Path of its weights.
        folder: Folder of the bottleneck store, which also caches the converted network.
        progress: Told about imports and preparations.

    Raises:
        BackboneError: The weights are missing or have changed, or the precision does not go with them.
        StoreError: The cached network is damaged.
    """
    prepared = Prepared(settings.backbone, weights)
    if settings.precision == "int8":
        with progress.preparing("imports"):
            from tasks.bottleneck.litert_forward import LiteRTForward, int8_network

        with progress.preparing("network"):
            return LiteRTForward(int8_network(prepared, settings.decode, folder, progress), available_cores())
    gpu = KINDS[settings.backbone.kind].in_tensorflow and find_hardware().gpu
    if not gpu:
        with progress.preparing("imports"):
            from tasks.bottleneck.openvino_forward import ConversionError, OpenVinoForward, openvino_network

        with progress.preparing("network"), suppress(ConversionError):
            return OpenVinoForward(openvino_network(prepared, folder, progress), settings.precision)
    with progress.preparing("imports"):
        from tasks.bottleneck.tensorflow_forward import TensorFlowForward

    with progress.preparing("network"):
        return TensorFlowForward.load(prepared, bfloat16=gpu and settings.precision == "bfloat16")


def forward_of(function: Callable[[Any], Any], size: int, batch_size: int) -> Callable[[Pixels], Vectors]:
    """Compile a function to run in float32: by OpenVINO, or by TensorFlow as in `open_forward`.

    Args:
        function: For inside a `tf.function`: pixels, float32 [N, size, size, 3], RGB, 0 to 255, to [N, K].
        size: Height and width of the pixels.
        batch_size: Photos of a batch at most.

    Returns:
        From pixels, uint8 [N, size, size, 3], N at most `batch_size`, to float32 [N, K]; threads may call it at once.
    """
    from tasks.bottleneck.openvino_forward import ConversionError, OpenVinoForward, convert_network
    from tasks.bottleneck.tensorflow_forward import TensorFlowForward

    if not find_hardware().gpu:
        with suppress(ConversionError):
            return OpenVinoForward(convert_network(function, size), "float32")
    return TensorFlowForward(function, size, batch_size)
