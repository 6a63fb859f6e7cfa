"""Photos a second of the decode stage, beside as many processes as cores that do only Pillow's part of its work.

One process has all files in memory, and decodes, crops, resizes and encodes them one after the other, as the default
backbone takes them. The stage runs as in a run, on the files and on the same photos in Parquet, into a fresh store, in
a fresh process each time, so that it starts its own processes anew. The imports of its parent are not counted, those of
its workers are.
"""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from PIL import Image

from tasks.backbone.prepare import prepare_backbone
from tasks.backbone.request import BackboneRequest
from tasks.decode.photos import decode_photos, open_stores
from tasks.decode.settings import DecodeSettings
from tasks.hardware import available_cores
from tasks.progress import NullProgress
from tasks.snapshot.photos import take_snapshot, usable
from tasks.storage.layout import DataRoot
from tests.benchmarks import measure
from tests.benchmarks.measure import FLOWERS, Output, Repeat, Source, Table
from tests.snapshot.parquet.parquet_files import parquet, photos_in_rows

BACKBONE = "efficientnet_lite0"
_SHARD, _GROUP = 500, 100


def decode_plainly(files: Sequence[bytes], settings: DecodeSettings) -> None:
    """Do Pillow's part of the stage, for photos without oddities."""
    size = (settings.size, settings.size)
    for data in files:
        photo = Image.open(io.BytesIO(data))
        photo.draft(None, (2 * settings.size, 2 * settings.size))
        picture = photo.convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) / 2 for length in picture.size)
        box = (left, top, left + side, top + side)
        square = picture.resize(size, Image.Resampling[settings.resampling.upper()], box)
        square.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)


def time_stage(photos: pa.Table, source: Path, settings: DecodeSettings) -> float:
    pa.array([""])  # imports pandas where that is installed for tests; a run has done it before
    with tempfile.TemporaryDirectory() as root:
        stores = open_stores(DataRoot(Path(root)), settings)
        return measure.time_call(lambda: decode_photos(photos, source, stores, NullProgress()))


def write_shards(files: Sequence[Path], folder: Path) -> None:
    """Write photos as Parquet files, with rows in row groups as Hugging Face's datasets writes them."""
    for start in range(0, len(files), _SHARD):
        rows = photos_in_rows(files[start : start + _SHARD])
        (folder / f"{start:06}.parquet").write_bytes(parquet(rows, _GROUP))


def main(output: Output, repeat: Repeat = 5, source: Source = FLOWERS) -> None:
    """Time all in turn on the photos of the folder."""
    with tempfile.TemporaryDirectory() as folder:
        backbone = prepare_backbone(BackboneRequest(BACKBONE), Path(folder), NullProgress()).backbone
    settings = backbone.decode("jpeg")
    photos = usable(take_snapshot(source, None, NullProgress()).table)
    files = [(source / path).read_bytes() for path in photos["path"].to_pylist()]
    cores, count = available_cores(), len(files)
    rows: dict[str, list[float]] = {f"{cores} x Pillow": [], "stage": [], "stage, Parquet": []}
    with tempfile.TemporaryDirectory() as folder:
        write_shards([source / path for path in photos["path"].to_pylist()], Path(folder))
        shards = usable(take_snapshot(Path(folder), None, NullProgress()).table)
        ways = {"stage": (photos, source.resolve()), "stage, Parquet": (shards, Path(folder))}
        for _ in range(repeat):
            seconds = measure.time_call(lambda: decode_plainly(files, settings))
            rows[f"{cores} x Pillow"].append(cores * count / seconds)
            for way, (table, place) in ways.items():
                rows[way].append(count / measure.in_fresh_process(time_stage, table, place, settings))
    table = Table(f"Decode stage: {count:,} photos to {settings.size} x {settings.size}", "photos/s", rows)
    measure.publish("decode_stage", [table], output)


if __name__ == "__main__":
    measure.run_command(main, __doc__)
