"""EfficientNet-Lite0 as an ONNX file beside EfficientNet-Lite0: the numbers of real photos, and photos a second.

The ONNX file has the same weights in other operators: batch norms of their own, and the scaling in the graph.
"""

import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import typer

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Forward, Vectors, open_forward
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.quantisation import RELU6, quantise
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.progress import NullProgress
from tasks.storage.files import local
from tests.backbone.onnx_models import lite, lite_outputs
from tests.benchmarks.measure import (
    FLOWERS,
    Output,
    Repeat,
    Source,
    Table,
    publish,
    rates,
    run_command,
    time_in_turn,
    usable_precisions,
)
from tests.benchmarks.stage import call_forward


def prepare_both(folder: Path) -> dict[str, Prepared]:
    """Prepare Lite0, and the ONNX file of it."""
    own = prepare_backbone(BackboneRequest("efficientnet_lite0"), folder, NullProgress())
    layers = own.backbone.layers
    path = lite(folder / "lite0.onnx", local(own.weights), 0, own.backbone.size, layers)
    request = BackboneRequest(str(path), bottleneck_tensor=",".join(lite_outputs(layers)))
    return {"efficientnet_lite0": own, "lite0.onnx": prepare_backbone(request, folder, NullProgress())}


def open_each(both: dict[str, Prepared], precision: Precision, folder: Path) -> dict[str, Forward]:
    return {
        name: open_forward(
            BottleneckSettings(prepared.backbone, "jpeg", precision, views=1),
            prepared.weights,
            folder / f"{name}-{precision}",
            NullProgress(),
        )
        for name, prepared in both.items()
    }


def embed(forward: Forward, pixels: Pixels) -> Vectors:
    size = forward.batch_size
    return np.concatenate([forward(pixels[start : start + size]) for start in range(0, len(pixels), size)])


def main(output: Output, source: Source = FLOWERS, photos: int = 400, repeat: Repeat = 5) -> None:
    """Compare the numbers of so many photos, and time them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        both = prepare_both(folder)
        decode = both["efficientnet_lite0"].backbone.decode("jpeg")
        paths = islice(sorted(source.rglob("*.jpg"), key=lambda path: path.name), photos)
        pixels = np.stack([read_pixels(decode_photo(path.read_bytes(), decode).image) for path in paths])
        facts, tables = {}, []
        for precision in (each for each in usable_precisions() if each != "int8"):
            forwards = open_each(both, precision, folder)
            first, second = (embed(forward, pixels) for forward in forwards.values())
            stored = [quantise(vectors, RELU6, [""] * len(vectors)) for vectors in (first, second)]
            facts[precision] = {
                "largest difference": float(np.abs(first - second).max()),
                "largest number": float(first.max()),
                "same stored numbers": float((stored[0] == stored[1]).mean()),
            }
            typer.echo(f"{precision}, {len(pixels)} photos: {facts[precision]}")
            ways = {name: (lambda own=own: call_forward(own, pixels, views=1)) for name, own in forwards.items()}
            measured = rates(time_in_turn(ways, repeat), len(pixels))
            tables.append(Table(f"{precision}, {len(pixels)} photos", "photos/s", measured))
    publish("onnx_backbone", tables, output, numbers=facts)


if __name__ == "__main__":
    run_command(main, __doc__)
