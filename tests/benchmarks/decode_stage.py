"""Photos a second of the decode stage, against as many cores times a process that does nothing but Pillow's work.

    python -m tests.benchmarks.decode_stage --output FOLDER

One process has all files in memory, and decodes, crops, resizes and encodes them one after the other, as the default
backbone wants them; once more it also converts those with a colour profile to sRGB, as the stage must. The stage runs
as in a nightly run, on the files, into a fresh store, in a fresh process each time, so that it starts its own processes
anew; the imports of its parent are not counted, those of its workers are.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.decode.colour import to_srgb
from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import BATCH
from tasks.hardware import available_cores
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable
from tasks.storage.layout import DataRoot
from tests.benchmarks.table import Table, parser, rates, tell

BACKBONE = "efficientnet_lite0"
ONE, WITH_PROFILES = "one process", "one process, with profiles"
STAGE, STARTED = "stage", "stage, once its processes have started"
RUN = "import sys; from tests.benchmarks.decode_stage import run_stage; run_stage(*sys.argv[1:])"


class Clock(NullProgress):
    """Progress that notes when the first batch was done."""

    def __init__(self) -> None:
        self.first: float | None = None

    def advance(self, count: int) -> None:  # noqa: ARG002 (only the moment counts)
        """Note the moment at first."""
        self.first = self.first or time.perf_counter()


def decode_plainly(files: Sequence[bytes], settings: DecodeSettings, *, profiles: bool = False) -> None:
    """Do the work of the stage, and nothing else, for photos that have no oddities but, perhaps, colour profiles."""
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


def run_stage(photos: str, folder: str, root: str, settings: str) -> None:
    """Decode into a fresh store, and print seconds: of all, and from the first batch on."""
    wanted, clock = pq.read_table(photos), Clock()
    pa.array([""])  # imports pandas where that is installed for tests; a nightly run has been through it before
    stores = open_stores(DataRoot(Path(root)), DecodeSettings(**json.loads(settings)))
    started = time.perf_counter()
    decode_photos(wanted, Path(folder), stores, clock)
    ended = time.perf_counter()
    sys.stdout.write(json.dumps([ended - started, ended - (clock.first or started)]))


def time_stage(wanted: pa.Table, source: Path, settings: DecodeSettings) -> tuple[float, float]:
    """Run the stage once in a fresh process; returns the seconds that `run_stage` prints."""
    with tempfile.TemporaryDirectory() as scratch:
        photos, root = Path(scratch) / "photos.parquet", Path(scratch) / "data"
        pq.write_table(wanted, photos)
        arguments = [str(photos), str(source), str(root), json.dumps(asdict(settings))]
        done = subprocess.run([sys.executable, "-c", RUN, *arguments], check=True, stdout=subprocess.PIPE)
    whole, working = json.loads(done.stdout)
    return whole, working


def measure(wanted: pa.Table, source: Path, settings: DecodeSettings, repeat: int) -> dict[str, list[float]]:
    """Time everything in turn; seconds, one a round."""
    files = [(source / path).read_bytes() for path in wanted["path"].to_pylist()]
    seconds: dict[str, list[float]] = {ONE: [], WITH_PROFILES: [], STAGE: [], STARTED: []}
    for _ in range(repeat):
        for way in (ONE, WITH_PROFILES):
            started = time.perf_counter()
            decode_plainly(files, settings, profiles=way == WITH_PROFILES)
            seconds[way].append(time.perf_counter() - started)
        whole, working = time_stage(wanted, source, settings)
        seconds[STAGE].append(whole)
        seconds[STARTED].append(working)
    return seconds


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    options = parser(__doc__)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of photos.")
    arguments = options.parse_args()
    source, cores = arguments.source, available_cores()
    with tempfile.TemporaryDirectory() as folder:
        backbone = prepare_backbone(BackboneRequest(BACKBONE), Path(folder), NullProgress()).backbone
    settings = backbone.decode("jpeg")
    wanted = usable(take_snapshot(source, None, NullProgress()).table)
    seconds = measure(wanted, source, settings, arguments.repeat)
    count, against = wanted.num_rows, f"{cores} x {ONE}"
    once = count - min(count - 1, cores * BATCH)
    rows = {
        ONE: rates(seconds, count)[ONE],
        against: rates(seconds, cores * count)[ONE],
        f"{cores} x {WITH_PROFILES}": rates(seconds, cores * count)[WITH_PROFILES],
        STAGE: rates(seconds, count)[STAGE],
        STARTED: rates(seconds, once)[STARTED],
    }
    title = f"Decode stage: {count:,} photos to {settings.size} x {settings.size}"
    tell([Table("decode_stage", title, "photos/s", against, rows)], arguments.output, photos=count, source=source)


if __name__ == "__main__":
    main()
