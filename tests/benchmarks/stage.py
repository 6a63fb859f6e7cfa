"""Photos a second of the bottleneck stage, against the forward pass alone with the same precision.

    python -m tests.benchmarks.stage --output FOLDER --precision float32 bfloat16 int8

The forward pass has all pixels in memory, and is called from as many threads as it takes, once a view. The stage reads
the decoded store, decodes, calls it likewise and writes a fresh bottleneck store. Its start-up is left out: its time
begins when the first batches, one a thread, are done. Imports and the network are told apart in the JSON file.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.backbone.backbones import Prepared
from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.precision import PRECISIONS, Precision, resolve_precision
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.update_store import EmbedInputs, WantedPhotos, embed_photos
from tasks.bottleneck.views import Pixels
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.decode.photos import decode_photos, open_stores
from tasks.errors import SettingError
from tasks.hardware import find_hardware
from tasks.progress import NullProgress, SetupTimer
from tasks.snapshot.photos import take_snapshot, usable
from tasks.storage.layout import DataRoot
from tests.benchmarks.decode_stage import Clock
from tests.benchmarks.table import Table, parser, tell


class StartupClock(Clock):
    """A clock that also adds up what was prepared."""

    def __init__(self) -> None:
        super().__init__()
        self.startup = SetupTimer()

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Time the block."""
        with self.startup.preparing(what):
            yield


class Stage:
    """The bottleneck stage of one precision, on a store that is decoded already.

    Args:
        prepared: The backbone.
        precision: What it computes in.
        views: Views of a photo.
        root: The data root.
    """

    def __init__(self, prepared: Prepared, precision: Precision, views: int, root: DataRoot) -> None:
        self.settings = BottleneckSettings(prepared.backbone, "jpeg", precision, views)
        self._weights, self._root = prepared.weights, root
        self._store = self.settings.store(root)
        self.startup: list[dict[str, float]] = []

    def open_forward(self) -> Forward:
        """The forward pass alone."""
        return open_forward(self.settings, self._weights, self._store.folder, NullProgress())

    def run(self, keys: pa.Array) -> float:
        """Embed all photos anew; seconds from when the first batch was done."""
        for shard in self._store.shards():
            shard.unlink()
        clock = StartupClock()
        embed_photos(WantedPhotos(keys, len(keys)), EmbedInputs(self._root, self.settings, self._weights), clock)
        ended = time.perf_counter()
        self.startup.append(dict(clock.startup.seconds))
        return ended - (clock.first or ended)


def time_forward(forward: Forward, pixels: Pixels, views: int) -> float:
    """Seconds for all views of pixels in memory, uint8 [N, S, S, 3]."""

    def embed(batch: Pixels) -> None:
        for _ in range(views):
            forward(batch)

    starts = range(0, len(pixels), forward.batch_size)
    started = time.perf_counter()
    for _ in map_ordered(embed, (pixels[start : start + forward.batch_size] for start in starts), forward.workers):
        pass
    return time.perf_counter() - started


def measure(stage: Stage, keys: pa.Array, pixels: Pixels, repeat: int) -> dict[str, list[float]]:
    """Time the forward pass and the stage in turn; photos a second."""
    views, forward = stage.settings.views, stage.open_forward()
    first = forward.workers * forward.batch_size
    time_forward(forward, pixels[: 4 * first], views)
    measured: dict[str, list[float]] = {"forward": [], "stage": []}
    for _ in range(repeat):
        measured["forward"].append(len(pixels) / time_forward(forward, pixels, views))
        measured["stage"].append((len(keys) - first) / stage.run(keys))
    return measured


def decode(source: Path, photos: int, prepared: Prepared, root: DataRoot) -> tuple[pa.Array, Pixels]:
    """Decode photos of a folder into the data root; their keys, and their pixels, uint8 [N, S, S, 3]."""
    wanted = usable(take_snapshot(source, None, NullProgress()).table).slice(0, photos)
    stores = open_stores(root, prepared.backbone.decode("jpeg"))
    decode_photos(wanted, source, stores, NullProgress())
    rows = stores.decoded.read(wanted["sha256"].combine_chunks())
    images = rows["image"].combine_chunks().field("bytes").to_pylist()
    return rows["sha256"].combine_chunks(), np.stack([read_pixels(image) for image in images])


def possible(wished: Sequence[str], prepared: Prepared) -> list[Precision]:
    """Those of the precisions that this machine computes in."""
    found: list[Precision] = []
    for wish in wished:
        try:
            found.append(resolve_precision(wish, prepared.backbone, find_hardware()))
        except SettingError:
            continue
    return found


def main() -> None:
    """Measure, print a table a precision, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of photos.")
    options.add_argument("--photos", type=int, default=2000, help="Photos at most; all pixels are held in memory.")
    options.add_argument("--backbone", default="efficientnet_lite0")
    options.add_argument("--views", type=int, default=2)
    options.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    arguments = options.parse_args()
    tables, startup = [], {}
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder) / "data")
        prepared = prepare_backbone(
            BackboneRequest(arguments.backbone), root.below("backbone", "measured"), NullProgress()
        )
        keys, pixels = decode(arguments.source, arguments.photos, prepared, root)
        for precision in possible(arguments.precision, prepared):
            stage = Stage(prepared, precision, arguments.views, root)
            rows = measure(stage, keys, pixels, arguments.repeat)
            title = f"{prepared.backbone.name}, {precision}: {len(keys):,} photos x {arguments.views} views"
            tables.append(Table("stage", title, "photos/s", "forward", rows))
            startup[precision] = stage.startup
    tell(tables, arguments.output, startup=startup, source=arguments.source)


if __name__ == "__main__":
    main()
