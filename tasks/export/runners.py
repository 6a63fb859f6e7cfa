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
from tasks.train.head import Floats, Predictions


def run_pixels(format_: ExportFormat, folder: Path, pixels: Sequence[Pixels], labels: int) -> Predictions:
    """Predict N photos, at least one, with a file that takes pixels.

    Args:
        format_: The format of the file.
        folder: The folder of the export.
        pixels: For each input, uint8 [N, S, S, 3].
        labels: Number of labels.
    """
    if format_ is OPENVINO:
        predict, workers = _open_openvino(folder)
    else:
        predict, workers = _open_tflite(folder / format_.name)
    photos = ([own[number : number + 1] for own in pixels] for number in range(len(pixels[0])))
    outputs = np.concatenate(list(map_ordered(predict, photos, workers)))
    return Predictions(outputs[:, :labels], outputs[:, labels] if outputs.shape[1] > labels else None)


def _open_tflite(file: Path) -> tuple[Callable[[Sequence[Pixels]], Floats], int]:
    forward = LiteRTForward(file.read_bytes(), available_cores())
    return forward.run, forward.workers


def _open_openvino(folder: Path) -> tuple[Callable[[Sequence[Pixels]], Floats], int]:
    core = ov.Core()
    model = core.read_model(folder / OPENVINO.name)
    # One photo at a time: OpenVINO computes a model of a fixed shape several times as fast as one of any.
    model.reshape({each: [1, *each.partial_shape[1:]] for each in model.inputs})
    # In float32 as the pipeline's predictions that it is compared with: two programs differ by more in bfloat16.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": available_cores()}
    compiled = core.compile_model(model, "CPU", {**settings, "ENABLE_CPU_PINNING": False})

    return lambda photo: np.concatenate(list(compiled(photo).values()), axis=1), 1
