"""Measures the costs of photos on this machine, each at two numbers of photos, for `plan`.

Runs of the real `luigi` command give seconds, bytes and requests; made-up snapshots and stores give the cost of keys.
"""

import os
import resource
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from tasks.bottleneck.extract import PHOTOS_PER_SHARD
from tasks.decode.photos import ROWS_PER_SHARD
from tasks.drift.comparison import MOST_PHOTOS
from tasks.export.photos import MAX_PHOTOS
from tasks.hardware import available_cores
from tasks.shards.manifests import read_manifest
from tasks.storage.layout import DataRoot
from tests.benchmarks.head import time_parts
from tests.benchmarks.made_up import head_settings, publish_bottlenecks
from tests.benchmarks.measure import in_fresh_process
from tests.benchmarks.queries import measure_queries, time_lookup
from tests.benchmarks.runs import add_photos, choose_photos, read_record, retrain, seconds_of_work, split_new
from tests.benchmarks.sizing import FOLDS, Line, Slopes, fit_line
from tests.support.servers.gateway import Gateway
from tests.support.servers.object_store import serving

#: Shards of made-up stores, and keys of each.
SHARDS, KEYS_PER_SHARD = (100, 1_000), 10
#: How often a run opens a shard: four times each of pictures; three times each of bottlenecks, which are half as many.
_LOOKS = (2 * 2 + 3) / 3
#: Queries of every run, and how often it makes them.
_QUERIES = {"walk": 1, "snapshot": 1, "decode": 1, "holding": 2, "predictions": 1}
#: Stages that more machines share, and stages whose cost of many photos is a query's.
_PARALLEL, _LAST = ("decode", "bottleneck"), ("champion", "serving", "report")
#: Photos from which on an export takes no longer: a tenth of them are all that it predicts.
_MOST_EXPORTED = 10 * MAX_PHOTOS


class ColdRun(NamedTuple):
    """A cold run with all defaults."""

    seconds: Mapping[str, float]  #: Seconds of work of each stage.
    startup: float  #: Seconds of setup.
    bytes: Mapping[str, float]  #: Bytes of the photos and of the data root, by kind.
    bottleneck: Mapping[str, Any]  #: Settings of its bottlenecks.


class Sizes(NamedTuple):
    """The two numbers that each thing is measured at."""

    photos: tuple[int, int]  #: Photos in real runs.
    keys: tuple[int, int]  #: Keys of made-up snapshots and stores.
    trained: tuple[int, int]  #: Photos with made-up bottlenecks that a head is trained on.


def measure_slopes(source: Path, sizes: Sizes) -> Slopes:
    """Measure everything at two sizes, with photos of a folder."""
    chosen = {count: choose_photos(source, count) for count in sizes.photos}
    runs = {count: run_on_disk(source, photos) for count, photos in chosen.items()}
    # Before anything else starts programs.
    base_memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024.0
    small, large = runs[min(runs)], runs[max(runs)]
    stages = fit_lines({count: run.seconds for count, run in runs.items()})
    costs = {count: measure_queries(count) for count in sizes.keys}
    seconds = fit_lines({count: {name: cost.seconds for name, cost in own.items()} for count, own in costs.items()})
    statistics, head = measure_head(small, min(runs), sizes.trained)
    lookups = fit_line({count: time_lookup(count, KEYS_PER_SHARD * SHARDS[-1]) for count in SHARDS})
    cores = available_cores()
    return Slopes(
        hashing=stages["snapshot"].times(cores),
        statistics=statistics,
        parallel={name: stages[name].times(cores) for name in _PARALLEL},
        serial={
            **{name: seconds[name].times(count) for name, count in _QUERIES.items()},
            **head,
            **{name: Line(large.seconds[name], 0) for name in _LAST},
            "drift": Line(stages["drift"].at(MOST_PHOTOS), 0),
            "export": Line(stages["export"].at(_MOST_EXPORTED), 0),
        },
        startup=large.startup,
        bytes=fit_lines({count: run.bytes for count, run in runs.items()}),
        shards=Line(0.0, 1 / ROWS_PER_SHARD + 1 / PHOTOS_PER_SHARD),
        shard_seconds=_LOOKS * lookups.slope,
        requests=count_requests(source, chosen),
        base_memory=base_memory,
        memory=fit_lines({count: {name: cost.bytes for name, cost in own.items()} for count, own in costs.items()}),
        labels=len({photo.parent for photos in chosen.values() for photo in photos}),
    )


def run_on_disk(source: Path, photos: Sequence[Path]) -> ColdRun:
    typer.echo(f"{len(photos):,} photos on a disk")
    with tempfile.TemporaryDirectory() as folder:
        dataset, root = Path(folder, "photos"), Path(folder, "data")
        add_photos(photos, source, dataset)
        retrain(dataset, root)
        record = read_record(root)
        stages = {name: seconds_of_work(stage) for name, stage in record["stages"].items() if stage["seconds"]}
        settings = read_manifest(DataRoot(root).train(record["head"]) / "manifest.json").settings
        names = {"decode": "pictures", "bottleneck": "bottlenecks", "snapshot": "snapshot"}
        stored = {"photos": float(sum(photo.stat().st_size for photo in photos))}
        for path in (path for path in root.rglob("*") if path.is_file()):
            kind = names.get(path.relative_to(root).parts[0], "all else")
            stored[kind] = stored.get(kind, 0.0) + path.stat().st_size
    return ColdRun(stages, record["startup"]["seconds"], stored, settings["bottlenecks"][0])


def measure_head(run: ColdRun, photos: int, trained: Sequence[int]) -> tuple[Line, dict[str, Line]]:
    """Measure the head: slopes come from many made-up photos, intercepts from the smaller run.

    Args:
        run: The smaller run.
        photos: Its photos.
        trained: The two numbers of made-up photos.

    Returns:
        Seconds for the statistics of new photos, and for all photos, by name.
    """
    width, views = sum(run.bottleneck["backbone"]["widths"]), run.bottleneck["views"]
    parts = fit_lines({count: in_fresh_process(_train_made_up, count, width, views) for count in trained})
    load, train, folds, predict = (parts[name].slope for name in ("load", "train", "folds", "predict"))
    return Line(0.0, train), {
        "train": Line(max(run.seconds["train"] - photos * (load + train), 0.0), load),
        "evaluate": Line(0.0, load + predict),
        # With few photos it is nearly all of the evaluation.
        FOLDS: Line(max(run.seconds["evaluate"] - photos * (load + predict + folds), 0.0), folds),
    }


def _train_made_up(photos: int, width: int, views: int) -> dict[str, float]:
    settings = head_settings(width, views)
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder))
        seconds = time_parts(root, publish_bottlenecks(root, photos, settings), settings)
    typer.echo(f"head of {photos:,} photos: {', '.join(f'{part} {own:.3g} s' for part, own in seconds.items())}")
    return seconds


def count_requests(source: Path, chosen: Mapping[int, Sequence[Path]]) -> dict[str, dict[str, Line]]:
    """Count the requests of each kind in runs of each state, with photos and data root on an object store.

    The runs export nothing: an export reads some photos' files and writes a few, no more of them for many photos.
    """
    counted: dict[str, dict[int, Mapping[str, float]]] = {}
    with serving() as server, Gateway(server.port).serving() as gateway:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": gateway.address})
        for count, photos in chosen.items():
            place = server.url(f"{count}")
            for state, added in split_new(photos).items():
                typer.echo(f"{count:,} photos on an object store, {state}")
                add_photos(added, source, f"{place}/photos")
                with gateway.counting() as requests:
                    retrain(f"{place}/photos", f"{place}/data", export="none")
                counted.setdefault(state, {})[count] = requests
    return {state: fit_lines(by_size) for state, by_size in counted.items()}


def fit_lines(measured: Mapping[int, Mapping[str, float]]) -> dict[str, Line]:
    """Return the line of each name; a name that is missing at a size costs nothing there."""
    names = sorted({name for own in measured.values() for name in own})
    return {name: fit_line({count: own.get(name, 0) for count, own in measured.items()}) for name in names}
