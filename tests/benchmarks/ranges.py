"""Seconds of bottleneck extraction as one task with all cores, and as two at once that share photos and cores.

A task is the real `luigi` command, from shell to exit, and ends with all its shards published. The decoded photos, the
snapshots and a network that was quantised for int8 are there before. Each of two tasks has a snapshot and cores of its
own; the end of the later one counts.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.retrain import RetrainFlowers
from tasks.bottleneck.task import ExtractBottlenecks
from tests.benchmarks.measure import FLOWERS, Output, Repeat, Source, Table, publish, run_command, time_in_turn
from tests.benchmarks.runs import add_photos, choose_photos
from tests.pipeline.command import LUIGI
from tests.support.repository import REPOSITORY


def prepare(photos: Sequence[Path], source: Path, folder: Path, precision: str) -> ExtractBottlenecks:
    """Run the stages before extraction on photos, and return the task of extraction."""
    add_photos(photos, source, folder / "photos")
    dataset, root = str(folder / "photos"), str(folder / "data")
    run = RetrainFlowers(dataset=dataset, data_root=root, precision=precision)
    (backbone,), snapshot = run.prepare_backbones(), run.take_snapshot()
    for early in (backbone, snapshot):
        early.run()
    stages = run.stage_tasks([backbone.prepared()])
    stages["decode"].run()
    extract = stages["bottleneck"]
    assert isinstance(extract, ExtractBottlenecks)
    return extract


def extract(tasks: Sequence[ExtractBottlenecks]) -> None:
    """Run tasks at once from nothing, each on its share of the cores.

    Raises:
        SystemExit: One failed.
    """
    cores, processes = sorted(os.sched_getaffinity(0)), []
    for number, task in enumerate(tasks):
        store = task.root.bottleneck(task.settings.key)
        for shard in store.glob("part-*"):
            shard.unlink()
        shutil.rmtree(Path(str(store / "manifests")), ignore_errors=True)
        given = task.to_str_params().items()
        words = [word for name, value in given for word in (f"--{name.replace('_', '-')}", value)]
        command = [str(LUIGI), "--module", "tasks.bottleneck.task", "ExtractBottlenecks", *words]
        os.sched_setaffinity(0, cores[number :: len(tasks)])
        processes.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True))
        os.sched_setaffinity(0, cores)
    for task, process in zip(tasks, processes, strict=True):
        output = process.communicate()[0]
        if process.returncode or task.manifest().new != task.manifest().photos:
            raise SystemExit(f"{task} did not extract all of its photos: {output}")


def main(
    output: Output, repeat: Repeat = 5, source: Source = FLOWERS, photos: int = 0, precision: str = "auto"
) -> None:
    files, ways = choose_photos(source, photos), {}
    with tempfile.TemporaryDirectory() as name:
        for count, way in ((1, "one task"), (2, "two tasks")):
            shares = [files[number::count] for number in range(count)]
            folders = [Path(name, f"{count}-{number}") for number in range(count)]
            tasks = [prepare(own, source, at, precision) for own, at in zip(shares, folders, strict=True)]
            ways[way] = partial(extract, tasks)
        seconds = time_in_turn(ways, repeat)
    title = f"{len(files):,} photos, from shell to the last exit"
    publish("ranges", [Table(title, "s", seconds, lower_is_better=True)], output)


if __name__ == "__main__":
    run_command(main, __doc__)
