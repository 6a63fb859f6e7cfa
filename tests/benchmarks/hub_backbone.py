"""Photos a second through a DINOv2-small of KerasHub with random weights: as the stage runs it, Keras, OpenVINO's loop.

Pixels are random and in memory. It also prints the largest difference of the bottlenecks from KerasHub's own forward
pass, and the largest number among them.
"""

import tempfile
from pathlib import Path

import numpy as np

from tasks.backbone.hub_networks import keras_hub
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.openvino_forward import OpenVinoForward, openvino_network
from tasks.progress import NullProgress
from tests.backbone.hub_models import OFFSET, SCALE
from tests.benchmarks.forward import HINTS, ways_of
from tests.benchmarks.measure import Output, Repeat, Table, publish, rates, run_command, time_in_turn

SIZE = 224


def save_small(folder: Path) -> Path:
    """Save the preset of a network of DINOv2-small's size, as its authors trained it: at 518 pixels."""
    shape = (518, 518, 3)
    hub = keras_hub()
    model = hub.models.DINOV2Backbone(
        patch_size=14,
        num_layers=12,
        hidden_dim=384,
        num_heads=6,
        intermediate_dim=1536,
        image_shape=shape,
        position_embedding_shape=shape,
    )
    model.save_to_preset(str(folder))
    hub.layers.ImageConverter(image_size=shape[:2], scale=SCALE, offset=OFFSET).save_to_preset(str(folder))
    return folder


def main(output: Output, repeat: Repeat = 3, photos: int = 64) -> None:
    """Time so many photos a round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        preset = save_small(folder / "dinov2_small")
        prepared = prepare_backbone(BackboneRequest(f"hub:{preset}", size=SIZE), folder, NullProgress())
        pixels = np.random.default_rng(0).integers(0, 256, (photos, SIZE, SIZE, 3), np.uint8)
        own = keras_hub().models.Backbone.from_preset(str(preset), image_shape=(SIZE, SIZE, 3))
        scaled = (pixels[:8] * np.array(SCALE) + np.array(OFFSET)).astype(np.float32)
        tokens = np.asarray(own(scaled, training=False))
        expected = np.concatenate([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
        network = openvino_network(prepared, folder / "network", NullProgress())
        measured = rates(time_in_turn(ways_of(prepared, folder, pixels), repeat), photos)
        tables = [Table(f"DINOv2-small, {SIZE} px, {photos} photos", "photos/s", measured)]
        for precision in HINTS:
            if (peer := f"OpenVINO {precision}") in measured:
                rows = {way: measured[way] for way in (peer, precision)}
                tables.append(Table(f"{precision} beside OpenVINO", "photos/s", rows))
                vectors = OpenVinoForward(network, precision)(pixels[:8])  # type: ignore[arg-type]  # a key of HINTS
                print(precision, np.abs(vectors - expected).max(), "of", np.abs(expected).max())  # noqa: T201
    publish("hub_backbone", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)
