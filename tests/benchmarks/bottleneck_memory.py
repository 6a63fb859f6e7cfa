"""Peak memory of the bottleneck stage at several numbers of photos; it should be the same at all of them.

    python -m tests.benchmarks.bottleneck_memory --photos 2000 10000 --output FOLDER

Photos are those of a folder, repeated with a byte more at the end each time, so that each is another photo of real
size. Decoding runs in a process of its own; the bottleneck stage then runs in a fresh one, whose peak resident memory
is what the operating system counted for it.
"""

import argparse
import datetime as dt
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import luigi

from pipeline import RetrainFlowers
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.train.settings import TrainSettings

#: Linux counts in KiB, macOS in bytes.
UNIT = 1 if sys.platform == "darwin" else 1024


def multiply(source: Path, target: Path, photos: int) -> None:
    """Fill a folder with so many different photos."""
    originals = sorted(source.glob("*/*.jpg"), key=lambda photo: photo.name)
    for index in range(photos):
        round_, place = divmod(index, len(originals))
        original = originals[place]
        copy = target / original.parent.name / f"{round_}-{original.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(original.read_bytes() + bytes(round_))


def stage(photos: Path, root: Path, *, until_decoded: bool) -> ExtractBottlenecks:
    """Run the pipeline up to the decode stage, or the bottleneck stage alone after that."""
    run = RetrainFlowers(dataset=str(photos), data_root=str(root), date=dt.date(2026, 1, 1))
    backbone, snapshot = run.prepare_backbone(), run.take_snapshot()
    if until_decoded:
        build(backbone)
        build(snapshot)
    prepared = backbone.prepared()
    train = run.settings(prepared.backbone).train
    assert isinstance(train, TrainSettings)
    bottlenecks = ExtractBottlenecks(
        data_root=str(root),
        snapshot=snapshot.manifest().key,
        folder=str(photos),
        weights=str(prepared.weights),
        max_rejected=0.0,
        settings=train.bottleneck,
    )
    build(bottlenecks.requires() if until_decoded else bottlenecks)
    return bottlenecks


def build(task: luigi.Task) -> None:
    """Run a task in this process."""
    if not luigi.build([task], local_scheduler=True, log_level="WARNING"):  # type: ignore[no-untyped-call]  # no types
        raise SystemExit(f"{task} failed")


def decode(photos: Path, root: Path) -> None:
    """Decode, in a process of its own."""
    stage(photos, root, until_decoded=True)


def extract(photos: Path, root: Path, results: "multiprocessing.Queue[dict[str, float]]") -> None:
    """Run the bottleneck stage, and tell the peak of this process in MB and its photos a second."""
    started = time.monotonic()
    count = stage(photos, root, until_decoded=False).manifest().photos
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / 1e6
    results.put({"photos": count, "peak_mb": round(peak), "photos_a_second": count / (time.monotonic() - started)})


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--source", type=Path, default=Path("../shared/flower_photos"))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    rows = []
    for photos in arguments.photos:
        with tempfile.TemporaryDirectory() as folder:
            source, root = Path(folder) / "photos", Path(folder) / "data"
            multiply(arguments.source, source, photos)
            results = fresh.Queue()
            for target, given in ((decode, (source, root)), (extract, (source, root, results))):
                process = fresh.Process(target=target, args=given)
                process.start()
                process.join()
            rows.append(results.get(timeout=10))
            sys.stdout.write(
                "{photos:>8,} photos {peak_mb:>6,} MB {photos_a_second:>6.1f} photos/s\n".format(**rows[-1])
            )
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "bottleneck_memory.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
