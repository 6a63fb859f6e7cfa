"""Predicts photos with the exported files that take pixels, as their users do."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tasks.bottleneck.litert_forward import LiteRTForward
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.export.formats import OPENVINO, ExportFormat
from tasks.hardware import available_cores
from tasks.runtime.openvino_import import ov
from tasks.train.head import Floats

#: Photos in a batch.
BATCH_SIZE = 16


def run_pixels(format_: ExportFormat, folder: Path, pixels: Sequence[Pixels], *, bfloat16: bool = False) -> Floats:
    """Predict N photos, at least one, with a file that takes pixels.

    Args:
        format_: The format of the file.
        folder: The folder of the export.
        pixels: For each input, uint8 [N, S, S, 3].
        bfloat16: Whether OpenVINO computes in bfloat16, otherwise in float32.

    Returns:
        float32 [N, C].
    """
    if format_ is OPENVINO:
        predict, workers = _open_openvino(folder, "bf16" if bfloat16 else "f32")
    else:
        predict, workers = _open_tflite(folder / format_.name)
    starts = range(0, len(pixels[0]), BATCH_SIZE)
    batches = ([own[start : start + BATCH_SIZE] for own in pixels] for start in starts)
    return np.concatenate(list(map_ordered(predict, batches, workers)))


def _open_tflite(file: Path) -> tuple[Callable[[Sequence[Pixels]], Floats], int]:
    forward = LiteRTForward(file.read_bytes(), available_cores())
    return forward.run, forward.workers


def _open_openvino(folder: Path, precision: str) -> tuple[Callable[[Sequence[Pixels]], Floats], int]:
    core = ov.Core()
    model = core.read_model(folder / OPENVINO.name)
    # One photo at a time: OpenVINO computes a model of a fixed shape several times as fast as one of any.
    model.reshape({each: [1, *each.partial_shape[1:]] for each in model.inputs})
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": available_cores()}
    compiled = core.compile_model(model, "CPU", {**settings, "ENABLE_CPU_PINNING": False})

    def predict(batch: Sequence[Pixels]) -> Floats:
        return np.concatenate([compiled([own[None] for own in photo])[0] for photo in zip(*batch, strict=True)])

    return predict, 1
