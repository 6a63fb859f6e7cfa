"""Photos a second through a backbone: each precision as the bottleneck stage runs it, Keras, and OpenVINO's own loop.

Pixels are random and in memory. OpenVINO's own loop runs the network that the stage runs, in the same precision, with
as many streams as it likes.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.backbone.load import build_model
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.openvino_forward import GRAPH, WEIGHTS, openvino_network
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.hardware import find_hardware
from tasks.progress import NullProgress
from tasks.runtime.openvino_import import ov
from tasks.runtime.tensorflow_import import keras
from tests.benchmarks.measure import Output, Repeat, Table, publish, rates, run_command, time_in_turn, usable_precisions
from tests.benchmarks.stage import call_forward

#: OpenVINO's names of the precisions that it computes in.
HINTS = {"float32": "f32", "bfloat16": "bf16"}
LITE0 = BackboneRequest("efficientnet_lite0", size=288)
Way = Callable[[], object]


def inception(folder: Path) -> BackboneRequest:
    """Return a request of Inception-v3 with random weights, since none come with a package."""
    weights = folder / "random.weights.h5"
    keras.applications.InceptionV3(weights=None, include_top=False, pooling="avg").save_weights(weights)
    return BackboneRequest("keras:InceptionV3", weights=str(weights))


def as_the_stage(prepared: Prepared, precision: Precision, folder: Path, pixels: Pixels) -> Way:
    """Call the forward pass as the stage does, on one view."""
    settings = BottleneckSettings(prepared.backbone, "jpeg", precision, views=1)
    forward = open_forward(settings, prepared.weights, folder, NullProgress())
    return lambda: call_forward(forward, pixels, views=1)


def by_openvino(network: bytes, hint: str, pixels: Pixels) -> Way:
    """Run OpenVINO's own loop over the same network, as its guide to throughput has it."""
    with zipfile.ZipFile(io.BytesIO(network)) as archive:
        model = ov.Core().read_model(archive.read(GRAPH), archive.read(WEIGHTS))
    hints = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "THROUGHPUT"}
    queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", hints))

    def run() -> None:
        for photo in pixels:
            queue.start_async({0: photo[None]})
        queue.wait_all()

    return run


def ways_of(prepared: Prepared, folder: Path, pixels: Pixels) -> dict[str, Way]:
    model = build_model(prepared)
    ways: dict[str, Way] = {"model.predict": lambda: model.predict(pixels, batch_size=32, verbose=0)}
    for precision in usable_precisions():
        kept = folder / f"{prepared.backbone.name}-{precision}"
        if precision in HINTS and not find_hardware().gpu:
            network = openvino_network(prepared, kept, NullProgress())
            ways[f"OpenVINO {precision}"] = by_openvino(network, HINTS[precision], pixels)
        ways[precision] = as_the_stage(prepared, precision, kept, pixels)
    return ways


def main(output: Output, repeat: Repeat = 5, photos: int = 128) -> None:
    """Time so many photos a round with EfficientNet-Lite0, and half as many with Inception-v3."""
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for request, count in ((LITE0, photos), (inception(folder), photos // 2)):
            prepared = prepare_backbone(request, folder, NullProgress())
            size = prepared.backbone.size
            pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
            measured = rates(time_in_turn(ways_of(prepared, folder, pixels), repeat), count)
            title = f"{prepared.backbone.name}, {size} px, {count} photos"
            tables.append(Table(title, "photos/s", measured))
            for precision in HINTS:
                if (peer := f"OpenVINO {precision}") in measured:
                    rows = {way: measured[way] for way in (peer, precision)}
                    tables.append(Table(f"{title}: {precision} beside OpenVINO", "photos/s", rows))
    publish("forward", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)
