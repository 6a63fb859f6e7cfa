"""Photos a second of the bottleneck stage, beside the forward pass alone in the same precision.

The forward pass has all pixels in memory, and is called from as many threads as it takes, once a view. The stage reads
the decoded store, decodes, calls it likewise and writes a fresh bottleneck store. Its time begins when the first
batches, one a thread, are done.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedInputs, WantedPhotos, embed_photos
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable
from tasks.storage.layout import DataRoot
from tests.benchmarks.decode_stage import BACKBONE
from tests.benchmarks.measure import (
    FLOWERS,
    Output,
    Repeat,
    Source,
    Table,
    publish,
    run_command,
    time_call,
    usable_precisions,
)

VIEWS = 2


class Clock(NullProgress):
    """Progress that notes when the first batch was done."""

    first: float | None = None

    def advance(self, count: int) -> None:  # noqa: ARG002 (only the moment counts)
        self.first = self.first or time.perf_counter()


def decode(source: Path, photos: int, settings: DecodeSettings, root: DataRoot) -> tuple[pa.Array, Pixels]:
    """Decode photos of a folder into the data root; returns their keys, and their pixels, uint8 [N, S, S, 3]."""
    wanted = usable(take_snapshot(source, None, NullProgress()).table).slice(0, photos)
    stores = open_stores(root, settings)
    decode_photos(wanted, source, stores, NullProgress())
    rows = stores.decoded.read(wanted["sha256"].combine_chunks())
    images = rows["image"].combine_chunks().field("bytes").to_pylist()
    return rows["sha256"].combine_chunks(), np.stack([read_pixels(image) for image in images])


def call_forward(forward: Forward, pixels: Pixels, views: int = VIEWS) -> None:
    """Run the forward pass from as many threads as it takes on pixels in memory, uint8 [N, S, S, 3], once a view."""

    def embed(batch: Pixels) -> None:
        for _ in range(views):
            forward(batch)

    starts = range(0, len(pixels), forward.batch_size)
    for _ in map_ordered(embed, (pixels[start : start + forward.batch_size] for start in starts), forward.workers):
        pass


def run_stage(keys: pa.Array, settings: BottleneckSettings, weights: AnyPath, root: DataRoot) -> float:
    """Embed all photos anew; returns the seconds since the first batch."""
    for shard in settings.store(root).shards():
        shard.unlink()
    clock = Clock()
    embed_photos(WantedPhotos(keys, len(keys)), EmbedInputs(root, settings, weights), clock)
    assert clock.first is not None
    return time.perf_counter() - clock.first


def main(output: Output, repeat: Repeat = 5, source: Source = FLOWERS, photos: int = 2000) -> None:
    """Time both in turn in each precision that this machine computes in; all pixels are held in memory."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder) / "data")
        prepared = prepare_backbone(BackboneRequest(BACKBONE), root.below("backbone", "measured"), NullProgress())
        keys, pixels = decode(source, photos, prepared.backbone.decode("jpeg"), root)
        for precision in usable_precisions():
            settings = BottleneckSettings(prepared.backbone, "jpeg", precision, VIEWS)
            forward = open_forward(settings, prepared.weights, settings.store(root).folder, NullProgress())
            first = forward.workers * forward.batch_size
            call_forward(forward, pixels[: 4 * first])
            rows: dict[str, list[float]] = {"forward": [], "stage": []}
            for _ in range(repeat):
                rows["forward"].append(len(pixels) / time_call(partial(call_forward, forward, pixels)))
                seconds = run_stage(keys, settings, prepared.weights, root)
                rows["stage"].append((len(keys) - first) / seconds)
            title = f"{BACKBONE}, {precision}: {len(keys):,} photos x {VIEWS} views"
            tables.append(Table(title, "photos/s", rows))
    publish("stage", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)
