"""Seconds a photo and peak memory of every stage as the photos grow, and what the queries of a store cost.

    python -m tests.benchmarks.growth --output FOLDER --photos 1000 10000 --image-size 64

Photos are those of `sample`, drawn. Each stage of each size runs in a fresh process; its seconds are those of its
manifest without what was no work (imports, the network, starts of processes), its peak that of its process alone. A
query runs in a fresh process too, on made-up stores: of few keys and of many in as few shards as a compaction leaves,
and of the same keys in few shards and in many; the slopes are from the first to the last of each.
"""

import datetime as dt
import multiprocessing
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import luigi

from pipeline.retrain import RetrainFlowers
from tasks.progress import NullProgress
from tasks.stage import StageTask
from tasks.synthetic.sample import draw_sample
from tests.benchmarks.queries import KEYS, SHARDS, measure_queries
from tests.benchmarks.resident import peak
from tests.benchmarks.table import Table, parser, tell

EARLY = ("download", "snapshot", "backbone")
STAGES = (*EARLY, "decode", "bottleneck", "train", "evaluate", "export", "champion", "report")


@dataclass(frozen=True)
class Grown(Table):
    """A table whose ratios are to the same stage with the fewest photos."""

    def ratio(self, way: str) -> float:
        """How many times as much it is as with the fewest photos."""
        first = next(name for name in self.rows if name.split()[0] == way.split(maxsplit=1)[0])
        return self.rows[way][0] / self.rows[first][0]


def take_first(drawn: Path, photos: int, archive: Path) -> None:
    """Make the archive of a smaller sample from that of a larger one: photo i looks the same in both."""
    with tarfile.open(drawn) as larger, tarfile.open(archive, "w:gz", compresslevel=1) as smaller:
        for member in larger:
            if int(Path(member.name).stem) < photos:
                smaller.addfile(member, larger.extractfile(member))


def find_stage(stage: str, archive: Path, root: Path, image_size: int) -> StageTask:
    """The task of a stage whose earlier ones are done."""
    run = RetrainFlowers(dataset=str(archive), data_root=str(root), date=dt.date(2026, 1, 1), image_size=image_size)
    (backbone,) = run.prepare_backbones()
    if stage in EARLY:
        snapshot = run.take_snapshot()
        early = {"download": snapshot.requires(), "snapshot": snapshot, "backbone": backbone}
        task = early[stage]
        assert task is not None
        return task
    return run.stage_tasks([backbone.prepared()])[stage]


def run_stage(stage: str, archive: Path, root: Path, image_size: int) -> tuple[float, float]:
    """Run a stage in this process; its seconds of work and its peak in MB."""
    task = find_stage(stage, archive, root, image_size)
    if not luigi.build([task], local_scheduler=True, log_level="WARNING"):
        raise SystemExit(f"{stage} failed")
    done = task.manifest()
    return done.seconds - sum(done.startup.values()), peak()


def grow(sizes: Sequence[int], image_size: int, drawn: Path | None) -> tuple[dict[str, list[float]], ...]:
    """Run every stage with each number of photos."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    fresh = multiprocessing.get_context("spawn")
    for photos in sizes:
        with tempfile.TemporaryDirectory() as folder:
            archive, root = Path(folder) / "sample.tgz", Path(folder) / "data"
            if drawn is None:
                draw_sample(archive, photos, NullProgress())
            else:
                take_first(drawn, photos, archive)
            for stage in STAGES:
                # An executor's process may have processes of its own, as decoding has.
                with ProcessPoolExecutor(1, fresh) as process:
                    worked, megabytes = process.submit(run_stage, stage, archive, root, image_size).result()
                # Of the backbone there is one, whatever the number of photos.
                if stage == "backbone":
                    continue
                each = worked / photos * 1e6
                sys.stdout.write(f"{stage:<11} {photos:>9,} photos {each:>12,.1f} us/photo {megabytes:>8,.0f} MB\n")
                sys.stdout.flush()
                seconds[f"{stage} {photos:,}"], memory[f"{stage} {photos:,}"] = [each], [megabytes]
    order = sorted(seconds, key=lambda name: STAGES.index(name.split()[0]))
    return {name: seconds[name] for name in order}, {name: memory[name] for name in order}


def tables(seconds: Mapping[str, Sequence[float]], memory: Mapping[str, Sequence[float]]) -> list[Table]:
    """What was measured of the stages; ratios are growth."""
    first = next(iter(seconds))
    return [
        Grown("growth", "Time a photo; ratios are to the fewest photos", "us", first, seconds),
        Grown("growth", "Peak memory; ratios are to the fewest photos", "MB", first, memory),
    ]


def main() -> None:
    """Measure, print the tables, and write them as JSON."""
    options = parser(__doc__)
    options.add_argument("--photos", type=int, nargs="*", default=[1_000, 10_000], help="Sizes of `sample`.")
    options.add_argument("--image-size", type=int, default=0, help="Of the backbone's input; 0 is its own.")
    options.add_argument("--drawn", type=Path, help="A larger archive of `sample` to take the photos from.")
    options.add_argument("--keys", type=int, nargs="+", default=KEYS, help="Keys of made-up stores.")
    options.add_argument("--shards", type=int, nargs="+", default=SHARDS, help="Shards of made-up stores.")
    arguments = options.parse_args()
    stages = tables(*grow(arguments.photos, arguments.image_size, arguments.drawn)) if arguments.photos else []
    queries = measure_queries(arguments.keys, arguments.shards, arguments.repeat)
    tell([*stages, *queries], arguments.output, image_size=arguments.image_size)


if __name__ == "__main__":
    main()
