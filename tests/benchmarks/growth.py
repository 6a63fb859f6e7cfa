"""Seconds a photo and peak memory of every stage by the number of photos, and the cost of a look-up by that of shards.

Photos are drawn as those of `sample`. Each stage runs in a fresh process. Its seconds are those of its manifest without
setup, its peak is that of its process alone.
"""

import datetime as dt
import tempfile
from pathlib import Path

import luigi
import typer

from pipeline.retrain import RetrainFlowers
from tasks.progress import NullProgress
from tasks.stage import StageTask
from tasks.synthetic.sample import draw_sample
from tests.benchmarks.measure import Output, align, in_fresh_process, read_memory, run_command, write_json

STAGES = (
    "download",
    "snapshot",
    "backbone",
    "decode",
    "bottleneck",
    "train",
    "evaluate",
    "export",
    "champion",
    "report",
)
SHARDS = (100, 1_000, 10_000)


def find_stage(stage: str, archive: Path, root: Path, image_size: int) -> StageTask:
    run = RetrainFlowers(dataset=str(archive), data_root=str(root), date=dt.date(2026, 1, 1), image_size=image_size)
    (backbone,), snapshot = run.prepare_backbones(), run.take_snapshot()
    early = {"download": snapshot.requires(), "snapshot": snapshot, "backbone": backbone}
    task = early[stage] if stage in early else run.stage_tasks([backbone.prepared()])[stage]
    assert task is not None
    return task


def run_stage(stage: str, archive: Path, root: Path, image_size: int) -> tuple[float, float]:
    """Run a stage in this process; returns its seconds of work and its peak memory in MB."""
    task = find_stage(stage, archive, root, image_size)
    if not luigi.build([task], local_scheduler=True, log_level="WARNING"):
        raise SystemExit(f"{stage} failed")
    done = task.manifest()
    return done.seconds - sum(done.startup.values()), read_memory("VmHWM")


def main(output: Output, photos: tuple[int, int] = (1_000, 10_000), image_size: int = 0) -> None:
    """Measure both numbers of photos; an image size of 0 is the backbone's own."""
    from tests.benchmarks.queries import time_lookup  # noqa: PLC0415 (not in the memory of the stages)

    microseconds: dict[str, dict[int, float]] = {stage: {} for stage in STAGES}
    memory: dict[str, dict[int, float]] = {stage: {} for stage in STAGES}
    for count in photos:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "sample.tgz"
            draw_sample(archive, count, NullProgress())
            for stage in STAGES:
                seconds, peak = in_fresh_process(run_stage, stage, archive, Path(folder) / "data", image_size)
                microseconds[stage][count], memory[stage][count] = seconds / count * 1e6, peak
    lookups = {shards: time_lookup(shards, 10 * max(SHARDS)) for shards in SHARDS}
    for title, figures in (("Microseconds a photo", microseconds), ("Peak memory, MB", memory)):
        rows: list[list[str | float]] = [["", *(f"{count:,} photos" for count in photos)]]
        rows += [[stage, *own.values()] for stage, own in figures.items()]
        typer.echo(f"\n{title}\n{align(rows)}", nl=False)
    rows = [[f"{shards:,} shards", seconds] for shards, seconds in lookups.items()]
    typer.echo(f"\nSeconds to look up {10 * max(SHARDS):,} keys\n{align(rows)}", nl=False)
    write_json("growth", output, image_size=image_size, microseconds=microseconds, memory=memory, lookups=lookups)


if __name__ == "__main__":
    run_command(main, __doc__)
