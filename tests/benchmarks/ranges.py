"""Seconds of bottleneck extraction as one task with all cores, and as several at once that share photos and cores.

    python -m tests.benchmarks.ranges --output FOLDER --photos 2000

Whether it pays to split the stage into tasks that have a range of the photos each. A task is the real `luigi` command,
from shell to exit, and ends with all its shards published; the decoded photos, the snapshots and a network that was
quantised for int8 are there before. Of several tasks, each has a snapshot and cores of its own; what counts is the end
of the last one. All ways take their turn.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipeline.retrain import RetrainFlowers
from tasks.bottleneck.task import ExtractBottlenecks
from tasks.hardware import available_cores
from tests.benchmarks.nothing_to_do import link
from tests.benchmarks.table import Table, parser, tell, time_in_turn
from tests.pipeline.command import LUIGI
from tests.support.repository import REPOSITORY


def prepare(photos: Sequence[Path], source: Path, folder: Path, precision: str) -> ExtractBottlenecks:
    """Make a dataset of photos, run the stages before extraction on it, and return the task that is next."""
    link(photos, source, folder)
    run = RetrainFlowers(dataset=str(folder), data_root=str(folder.parent / "data"), precision=precision)
    (backbone,), snapshot = run.prepare_backbones(), run.take_snapshot()
    for early in (backbone, snapshot):
        early.run()
    stages = run.stage_tasks([backbone.prepared()])
    stages["decode"].run()
    extract = stages["bottleneck"]
    if not isinstance(extract, ExtractBottlenecks):
        raise TypeError(extract)
    return extract


def extract(tasks: Sequence[ExtractBottlenecks]) -> None:
    """Run tasks at once from nothing, each on its share of the cores.

    Raises:
        SystemExit: One failed.
    """
    for task in tasks:
        store = task.root.bottleneck(task.settings.key)
        for shard in store.glob("part-*"):
            shard.unlink()
        shutil.rmtree(Path(str(store / "manifests")), ignore_errors=True)
    cores, started = sorted(os.sched_getaffinity(0)), []
    for number, task in enumerate(tasks):
        given = task.to_str_params().items()
        words = [word for name, value in given for word in (f"--{name.replace('_', '-')}", value)]
        command = [str(LUIGI), "--module", "tasks.bottleneck.task", "ExtractBottlenecks", *words]
        with _on_cores(cores[number :: len(tasks)]):
            started.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True))
    for task, process in zip(tasks, started, strict=True):
        told = process.communicate()[0]
        if process.returncode or task.manifest().new != task.manifest().photos:
            raise SystemExit(f"{task} did not extract all of its photos: {told}")


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    options = parser(__doc__)
    options.add_argument("--source", type=Path, default=Path("../shared/flower_photos"), help="Folder of photos.")
    options.add_argument("--photos", type=int, default=2000, help="Photos at most.")
    options.add_argument("--tasks", type=int, nargs="+", default=[2], help="How many at once, beside one.")
    options.add_argument("--precision", default="auto", help="As RetrainFlowers takes it.")
    arguments = options.parse_args()
    files = sorted(arguments.source.glob("*/*.*"))
    photos = files[:: -(-len(files) // arguments.photos)]
    with tempfile.TemporaryDirectory() as folder:
        ways = {}
        for count in (1, *arguments.tasks):
            shares = [
                prepare(photos[number::count], arguments.source, Path(folder, f"{count}-{number}"), arguments.precision)
                for number in range(count)
            ]
            ways[_name(count)] = partial(extract, shares)
        seconds = time_in_turn(ways, arguments.repeat)
    title = f"{len(photos):,} photos on {available_cores()} cores, from shell to the last one's exit"
    tell([Table("ranges", title, "s", _name(1), seconds, less_is_better=True)], arguments.output)


def _name(count: int) -> str:
    return "one task" if count == 1 else f"{count} tasks"


@contextmanager
def _on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Let processes that are started in the block have these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    main()
