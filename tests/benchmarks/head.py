"""Seconds and peak memory of the head on made-up photos: a cold run, then one with 1 % new photos.

The bottlenecks are the shards of a real store (7 GB for a million photos of 2 x 4,256 numbers). Each stage runs in a
process of its own: train, which updates the statistics and solves for the head, and evaluate, which solves for the head
of each fold and predicts every photo. With --store all is on a real object store on the same cores.
"""

import os
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from typing import Annotated

import typer

from tasks.evaluate.cross_validation import cross_predict
from tasks.evaluate.evaluation import TrainedOn, evaluate
from tasks.evaluate.settings import EvaluateSettings
from tasks.paths import to_path
from tasks.progress import NullProgress
from tasks.shards.manifests import Manifest, read_manifest
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tasks.train.head_training import train_head
from tasks.train.photos import load_photos
from tasks.train.settings import TrainSettings
from tests.benchmarks.made_up import SNAPSHOT_KEY, head_settings, publish_bottlenecks
from tests.benchmarks.measure import Output, Table, in_fresh_process, publish, read_memory, run_command, time_call
from tests.support.servers.object_store import serving

FOLDS = 5


def run_stage(stage: str, place: str, settings: TrainSettings) -> tuple[float, float]:
    """Run a stage in this process; returns its seconds and its peak memory in MB."""
    root = DataRoot(to_path(place))
    manifest, statistics = read_manifest(root.path / "manifest.json"), root.statistics("made-up")

    def train() -> None:
        photos = load_photos(SNAPSHOT_KEY, [manifest], settings, root)
        train_head(photos, SNAPSHOT_KEY, root.train(settings.key(SNAPSHOT_KEY)), statistics, NullProgress())

    source = TrainedOn([manifest], root.path, statistics)
    how = EvaluateSettings(settings, FOLDS)
    call = train if stage == "train" else partial(evaluate, SNAPSHOT_KEY, how, source, root, NullProgress())
    return time_call(call), read_memory("VmHWM")


def time_parts(root: DataRoot, manifest: Manifest, settings: TrainSettings) -> dict[str, float]:
    """Train the first head of a dataset and evaluate it in this process; returns the seconds of each part."""
    statistics, folder = root.statistics("made-up"), root.train("head")
    times = [time.perf_counter()]
    photos = load_photos(SNAPSHOT_KEY, [manifest], settings, root)
    times.append(time.perf_counter())
    train_head(photos, SNAPSHOT_KEY, folder, statistics, NullProgress())
    times.append(time.perf_counter())
    head = load_head(folder)
    cross_predict(photos, head, FOLDS, statistics, NullProgress())
    times.append(time.perf_counter())
    parts = ("load", "train", "evaluate")
    return {part: end - start for part, start, end in zip(parts, times, times[1:], strict=False)}


def main(
    output: Output,
    photos: int = 20_000,
    width: Annotated[int, typer.Option(help="Numbers of a bottleneck.")] = 4256,
    store: Annotated[bool, typer.Option("--store", help="Use an object store.")] = False,
) -> None:
    """Run both stages on 99 % of the photos, then on all of them."""
    settings = head_settings(width, views=2)
    seconds: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    with ExitStack() as stack:
        if store:
            server = stack.enter_context(serving())
            os.environ.update(server.environment)
            place = server.url("data")
        else:
            place = stack.enter_context(tempfile.TemporaryDirectory())
        root = DataRoot(to_path(place))
        for state, count in (("cold", round(0.99 * photos)), ("1 % new", photos)):
            publish_bottlenecks(root, count, settings).publish(root.path / "manifest.json")
            for stage in ("train", "evaluate"):
                took, peak = in_fresh_process(run_stage, stage, place, settings)
                seconds[f"{state}: {stage}"], memory[f"{state}: {stage}"] = [took], [peak]
    tables = [
        Table(f"{photos:,} photos of 2 x {width:,} numbers, {FOLDS} folds", "s", seconds, lower_is_better=True),
        Table("Peak memory", "MB", memory, lower_is_better=True),
    ]
    publish("head", tables, output)


if __name__ == "__main__":
    run_command(main, __doc__)
