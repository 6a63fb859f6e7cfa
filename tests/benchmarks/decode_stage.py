"""Photos a second of the decode stage, beside as many processes as cores that do only Pillow's part of its work.

One process has all files in memory, and decodes, crops, resizes and encodes them one after the other, as the default
backbone takes them; once more it also converts those with a colour profile to sRGB, as the stage must. The stage runs
as in a run, on the files, into a fresh store, in a fresh process each time, so that it starts its own processes anew.
The imports of its parent are not counted, those of its workers are.
"""

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from PIL import Image

from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.decode.colour import to_srgb
from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import BATCH
from tasks.hardware import available_cores
from tasks.progress import NullProgress, SetupTimer
from tasks.snapshot.photos import take_snapshot, usable
from tasks.storage.layout import DataRoot
from tests.benchmarks.measure import (
    FLOWERS,
    Output,
    Repeat,
    Source,
    Table,
    in_fresh_process,
    publish,
    run_command,
    time_call,
)

BACKBONE = "efficientnet_lite0"


class Clock(NullProgress):
    """Progress that notes when the first batch was done, and the seconds of setup."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.setup = SetupTimer()

    def advance(self, count: int) -> None:  # noqa: ARG002 (only the moment counts)
        """Note the moment of the first call."""
        self.first = self.first or time.perf_counter()

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Time the block."""
        with self.setup.preparing(what):
            yield


def decode_plainly(files: Sequence[bytes], settings: DecodeSettings, *, profiles: bool) -> None:
    """Do Pillow's part of the stage for photos that have no oddities except, perhaps, colour profiles."""
    size = (settings.size, settings.size)
    for data in files:
        photo = Image.open(io.BytesIO(data))
        photo.draft(None, (2 * settings.size, 2 * settings.size))
        picture = photo.convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) / 2 for length in picture.size)
        box = (left, top, left + side, top + side)
        square = picture.resize(size, Image.Resampling[settings.resampling.upper()], box)
        if profiles:
            square = to_srgb(square, (0, 255), photo.info.get("icc_profile"))
        square.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)


def run_stage(photos: pa.Table, source: Path, settings: DecodeSettings) -> tuple[float, float]:
    """Decode into a fresh store; returns seconds of the whole, and from the first batch on."""
    clock = Clock()
    pa.array([""])  # imports pandas where that is installed for tests; a run has done it before
    with tempfile.TemporaryDirectory() as root:
        stores = open_stores(DataRoot(Path(root)), settings)
        started = time.perf_counter()
        decode_photos(photos, source, stores, clock)
        ended = time.perf_counter()
    return ended - started, ended - (clock.first or started)


def main(output: Output, repeat: Repeat = 5, source: Source = FLOWERS) -> None:
    """Time everything in turn on all photos of the folder."""
    cores = available_cores()
    with tempfile.TemporaryDirectory() as folder:
        backbone = prepare_backbone(BackboneRequest(BACKBONE), Path(folder), NullProgress()).backbone
    settings = backbone.decode("jpeg")
    photos = usable(take_snapshot(source, None, NullProgress()).table)
    files = [(source / path).read_bytes() for path in photos["path"].to_pylist()]
    count = len(files)
    after_first = count - min(count - 1, cores * BATCH)
    rows: dict[str, list[float]] = {}
    for _ in range(repeat):
        one = time_call(lambda: decode_plainly(files, settings, profiles=False))
        with_profiles = time_call(lambda: decode_plainly(files, settings, profiles=True))
        whole, working = in_fresh_process(run_stage, photos, source.resolve(), settings)
        figures = {
            f"{cores} x one process": cores * count / one,
            f"{cores} x one process, with profiles": cores * count / with_profiles,
            "stage": count / whole,
            "stage, once its processes have started": after_first / working,
        }
        for way, figure in figures.items():
            rows.setdefault(way, []).append(figure)
    title = f"Decode stage: {count:,} photos to {settings.size} x {settings.size}"
    publish("decode_stage", [Table(title, "photos/s", rows)], output)


if __name__ == "__main__":
    run_command(main, __doc__)
