"""Seconds and memory of the queries of a run, by the number of keys and of shards, on made-up snapshots and stores."""

import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import typer

from tasks.decode.photo_file import Photo
from tasks.decode.photos import ROWS_PER_SHARD, DecodeStores, decode_photos
from tasks.decode.settings import DecodeSettings
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.shards.schemas import REJECTED, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.photos import take_snapshot, usable
from tasks.snapshot.walk import list_files
from tasks.storage.layout import DataRoot
from tasks.train.photos import label_photos, load_photos
from tests.benchmarks.made_up import (
    SNAPSHOT_KEY,
    fill_decoded,
    head_settings,
    make_keys,
    make_snapshot,
    open_decoded,
    publish_bottlenecks,
)
from tests.benchmarks.measure import in_fresh_process, read_memory, reset_peak_memory, time_call

#: Rows of a shard that a compaction leaves.
LARGE_SHARD = 16_384
#: Files are slow to make: queries of files have a tenth of them, and their cost is multiplied.
FILES = 10
#: Numbers of a bottleneck: few, so that memory of the photos themselves is measured.
_WIDTH = 4


class Cost(NamedTuple):
    """Cost of a query: seconds, and bytes of memory at its peak."""

    seconds: float
    bytes: float


def found(folder: Path, keys: int) -> Callable[[], object]:
    store, wanted = open_decoded(folder), make_keys(keys)
    return lambda: store.found(wanted)


def holding(folder: Path, keys: int) -> Callable[[], object]:
    store, wanted = open_decoded(folder), make_keys(keys)
    return lambda: store.search(wanted).shards()


def decode(folder: Path, keys: int) -> Callable[[], object]:
    """Run the decode stage where every photo has a picture."""
    rejected = ShardStore(folder / "rejected", describe(REJECTED, "decode", "made up", {}), 256)
    stores = DecodeStores(DecodeSettings(size=64, resize=64), open_decoded(folder), rejected)
    photos = usable(make_snapshot(make_keys(keys)))
    return lambda: decode_photos(photos, folder, stores, NullProgress())


def walk(folder: Path, keys: int) -> Callable[[], object]:
    photos = make_files(folder, keys // FILES)
    return lambda: list_files(photos).state()


def snapshot(folder: Path, keys: int) -> Callable[[], object]:
    """Take a snapshot of files that were all hashed before."""
    photos = make_files(folder, keys // FILES)
    known = take_snapshot(photos, None, NullProgress()).hashes
    return lambda: take_snapshot(photos, known, NullProgress())


def make_files(folder: Path, count: int) -> Path:
    """Make a dataset of different files, an hour old."""
    photos, then = folder / "photos", time.time() - 3600
    for number in range(count):
        file = photos / f"label{number % 5}" / f"{number:09d}.jpg"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}")
            os.utime(file, (then, then))
    return photos


def decode_tasks(_: Path, keys: int) -> Callable[[], object]:
    photos = usable(make_snapshot(make_keys(keys)))
    return lambda: list(map(Photo, *(photos.column(name).to_pylist() for name in ("sha256", "path"))))


def load(folder: Path, keys: int) -> Callable[[], object]:
    root, settings = DataRoot(folder), head_settings(_WIDTH, views=1)
    manifest = publish_bottlenecks(root, keys, settings, LARGE_SHARD)
    return lambda: load_photos(SNAPSHOT_KEY, [manifest], settings, root)


def predictions(folder: Path, keys: int) -> Callable[[], object]:
    """Publish predictions as an evaluation does, then read them as a report does."""
    from tasks.evaluate.predictions import (  # noqa: PLC0415 (only this query needs them)
        PredictedPhotos,
        publish_predictions,
        read_predicted_photos,
    )
    from tasks.report.dataset import find_repeated_photos  # noqa: PLC0415
    from tasks.report.gallery import select_photos  # noqa: PLC0415
    from tasks.report.results import measure_results  # noqa: PLC0415

    table = usable(make_snapshot(make_keys(keys)))

    def query() -> object:
        photos = label_photos(table)
        labels = len(photos.labels)
        publish_predictions(folder, PredictedPhotos(photos, np.full((keys, labels), 1 / labels, np.float32)), {})
        del photos
        predicted = read_predicted_photos(folder)
        selection = select_photos(predicted, [], map_points=1000)
        return predicted, measure_results(predicted), find_repeated_photos(table), selection

    return query


def ray_blocks(_: Path, keys: int) -> Callable[[], object]:
    """Cut the blocks of both stages for Ray and pickle them, one stage at a time."""
    from tasks.bottleneck.extract import PHOTOS_PER_SHARD  # noqa: PLC0415 (only this query needs them)
    from tasks.bottleneck.on_ray import _blocks  # noqa: PLC0415
    from tasks.bottleneck.update_store import PendingPhotos  # noqa: PLC0415
    from tasks.cluster.actor import Job  # noqa: PLC0415
    from tasks.cluster.driver_process import ClusterTask  # noqa: PLC0415
    from tasks.cluster.resources import Pool  # noqa: PLC0415
    from tasks.decode.on_ray import cut  # noqa: PLC0415

    photos = usable(make_snapshot(make_keys(keys))).select(["sha256", "path", "bytes"])
    wanted = photos.column("sha256").combine_chunks()
    shards: list[AnyPath] = [Path(f"part-{number:016x}.parquet") for number in range(-(-keys // ROWS_PER_SHARD))]

    def query() -> None:
        pending = PendingPhotos(wanted, shards, np.arange(keys) // ROWS_PER_SHARD)
        for blocks in (cut(photos, ROWS_PER_SHARD), list(_blocks(pending, PHOTOS_PER_SHARD))):
            pickle.dumps(ClusterTask(Job("decode", "", len), blocks, Pool(1, 1, 0)))

    return query


#: The queries of a run by name; the first is measured by shards, the others by keys.
QUERIES = {
    "found": found,
    "holding": holding,
    "decode": decode,
    "walk": walk,
    "snapshot": snapshot,
    "tasks for decoding": decode_tasks,
    "load": load,
    "predictions": predictions,
    "blocks for Ray": ray_blocks,
}


def run_query(name: str, folder: Path, keys: int) -> Cost:
    query = QUERIES[name](folder, keys)
    # Memory that was freed while things were made up would hide some of the query's.
    pa.default_memory_pool().release_unused()
    before = read_memory("VmRSS")
    reset_peak_memory()
    seconds = time_call(query)
    peak = max(read_memory("VmHWM") - before, 0.0) * 1e6
    scale = FILES if name in ("walk", "snapshot") else 1
    return Cost(seconds * scale, peak * scale)


def measure_queries(keys: int) -> dict[str, Cost]:
    """Run the queries of so many keys, each in a fresh process."""
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        fill_decoded(open_decoded(Path(folder)), make_keys(keys), LARGE_SHARD)
        for name in list(QUERIES)[1:]:
            costs[name] = in_fresh_process(run_query, name, Path(folder), keys)
            typer.echo(f"{name}, {keys:,} keys: {costs[name].seconds:.3f} s, {costs[name].bytes / 1e6:.1f} MB")
    return costs


def time_lookup(shards: int, keys: int) -> float:
    """Return the seconds to look up keys in so many shards, the best of three."""
    with tempfile.TemporaryDirectory() as folder:
        fill_decoded(open_decoded(Path(folder)), make_keys(keys), keys // shards)
        return min(in_fresh_process(run_query, "found", Path(folder), keys).seconds for _ in range(3))
