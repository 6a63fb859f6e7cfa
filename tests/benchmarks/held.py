"""What the driving machine holds and takes for each key, on made-up snapshots and stores; `slopes` draws the lines."""

import json
import multiprocessing
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.bottleneck.extract import PHOTOS_PER_SHARD
from tasks.bottleneck.on_ray import _blocks
from tasks.bottleneck.update_store import PendingPhotos
from tasks.cluster.driver_process import ClusterTask
from tasks.cluster.resources import Pool
from tasks.decode.on_ray import cut
from tasks.decode.photo_file import Photo
from tasks.decode.photos import ROWS_PER_SHARD
from tasks.evaluate.cross_validation import fold_heads, predict_photos
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.shards.manifests import Manifest, StageResult
from tasks.shards.parquet import publish_parquet
from tasks.snapshot.photos import usable
from tasks.storage.layout import DataRoot
from tasks.train.head import load_head
from tasks.train.head_training import train_head
from tasks.train.photos import label_photos, load_photos
from tasks.train.settings import TrainSettings
from tests.benchmarks.made_up import fill_bottlenecks, fill_decoded, made_up_head, make_keys, make_snapshot
from tests.benchmarks.queries import LARGE_SHARD, measure, open_made_up
from tests.benchmarks.resident import forget_peak, peak, resident

#: Seconds, and the bytes that it holds at most.
Cost = tuple[float, float]
#: What `tests.benchmarks.queries` measures.
_QUERIES = ("walk", "snapshot", "decode", "holding", "usable")
#: Numbers of a made-up bottleneck: what is held of each photo beside its bottleneck is looked for.
_WIDTH = 4
_FOLDS = 5
_SNAPSHOT = "made-up"
_TRAIN = "import sys; from tests.benchmarks.held import train; train(*sys.argv[1:])"


def tasks_for(_: Path, keys: int) -> Callable[[], object]:
    """The photos that a first run hands to the processes that decode."""
    photos = usable(make_snapshot(make_keys(keys)))
    return lambda: list(map(Photo, *(photos.column(name).to_pylist() for name in ("sha256", "path"))))


def load(folder: Path, keys: int) -> Callable[[], object]:
    """The photos that a training loads, and where their bottlenecks are."""
    root, how = DataRoot(folder), made_up_head(_WIDTH, 1)
    manifest = _make_up(root, keys, how, LARGE_SHARD)
    return lambda: load_photos(_SNAPSHOT, [manifest], how, root)


def _make_up(root: DataRoot, photos: int, how: TrainSettings, photos_per_shard: int) -> Manifest:
    """Publish a snapshot and a store of bottlenecks; returns what the bottleneck stage would say of them."""
    keys, (bottleneck,) = make_keys(photos), how.bottlenecks
    publish_parquet(root.snapshot(_SNAPSHOT), make_snapshot(keys))
    store = bottleneck.store(root)
    fill_bottlenecks(store, keys, bottleneck.views, photos_per_shard)
    outcome = StageResult(_SNAPSHOT, _SNAPSHOT, {}, photos, photos, 0, tuple(shard.name for shard in store.shards()))
    return Manifest(stage="bottleneck", run="benchmark", seconds=0.0, **vars(outcome))


def predict(folder: Path, keys: int) -> Callable[[], object]:
    """The predictions that an evaluation writes of its photos, then what a report makes of them."""
    from tasks.evaluate.predictions import (  # noqa: PLC0415 (only this needs them)
        PredictedPhotos,
        publish_predictions,
        read_predicted_photos,
    )
    from tasks.report.dataset import find_repeated_photos  # noqa: PLC0415
    from tasks.report.gallery import select_photos  # noqa: PLC0415
    from tasks.report.results import measure_results  # noqa: PLC0415

    snapshot = usable(make_snapshot(make_keys(keys)))

    def query() -> object:
        photos = label_photos(snapshot)
        labels = len(photos.labels)
        publish_predictions(folder, PredictedPhotos(photos, np.full((keys, labels), 1 / labels, np.float32)), {})
        del photos
        predicted = read_predicted_photos(folder)
        selection = select_photos(predicted, [], map_points=1000)
        return predicted, measure_results(predicted), find_repeated_photos(snapshot), selection

    return query


def blocks(_: Path, keys: int) -> Callable[[], object]:
    """The blocks of both stages that a first run hands to Ray, and what is sent of them, one stage at a time."""
    photos = usable(make_snapshot(make_keys(keys))).select(["sha256", "path", "bytes"])
    wanted = photos.column("sha256").combine_chunks()
    shards: list[AnyPath] = [Path(f"part-{number:016x}.parquet") for number in range(-(-keys // ROWS_PER_SHARD))]
    pool = Pool(1, 1, 0)

    def query() -> None:
        for made in (
            cut(photos, ROWS_PER_SHARD),
            list(_blocks(PendingPhotos(wanted, shards, np.arange(keys) // ROWS_PER_SHARD), PHOTOS_PER_SHARD)),
        ):
            pickle.dumps(ClusterTask(len, None, made, pool))  # type: ignore[arg-type]  # for nobody

    return query


_HELD = {"tasks for decoding": tasks_for, "load": load, "predictions": predict, "blocks for Ray": blocks}


def by_keys(keys: int) -> dict[str, Cost]:
    """What each query of so many keys costs, once, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        fill_decoded(open_made_up(Path(folder)), make_keys(keys), LARGE_SHARD)
        queries = measure(_QUERIES, Path(folder), keys, 1)
        costs = {name: (seconds[0], megabytes * 1e6) for name, (seconds, megabytes) in queries.items()}
        for name in _HELD:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                costs[name] = process.submit(_hold, name, Path(folder), keys).result()
            sys.stdout.write(f"{name} {keys:,} keys {costs[name][0]:.3f} s {costs[name][1] / 1e6:.1f} MB\n")
            sys.stdout.flush()
    return costs


def _hold(name: str, folder: Path, keys: int) -> Cost:
    query = _HELD[name](folder, keys)
    # What making things up has freed again would be taken for nothing.
    pa.default_memory_pool().release_unused()
    before = resident()
    forget_peak()
    started = time.perf_counter()
    held = query()
    seconds = time.perf_counter() - started
    del held
    return seconds, max(peak() - before, 0.0) * 1e6


def by_shards(shards: int, keys: int) -> float:
    """Seconds to look for keys in so many shards."""
    with tempfile.TemporaryDirectory() as folder:
        fill_decoded(open_made_up(Path(folder)), make_keys(keys), keys // shards)
        seconds, _ = measure(["found"], Path(folder), keys, 3)["found"]
    return min(seconds)


def by_trained(photos: int, width: int, views: int) -> dict[str, float]:
    """Seconds of a head on so many photos' bottlenecks, the first of its dataset, and of its evaluation.

    Returns:
        Of loading the photos, of the training, of the heads of a cross-validation, and of all predictions.
    """
    # In a process of its own, whose threads and memory are as those of a stage.
    command = [sys.executable, "-c", _TRAIN, *map(str, (photos, width, views))]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stderr}")
    told: dict[str, float] = json.loads(done.stdout)
    sys.stdout.write(f"training {photos:,} photos {', '.join(f'{name} {own:.3g} s' for name, own in told.items())}\n")
    sys.stdout.flush()
    return told


def train(photos: str, width: str, views: str) -> None:
    """Train and evaluate in this process, and print what that took."""
    how = made_up_head(int(width), int(views))
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder))
        manifest = _make_up(root, int(photos), how, PHOTOS_PER_SHARD)
        statistics, ends = root.statistics("made-up"), [time.perf_counter()]
        loaded = load_photos(_SNAPSHOT, [manifest], how, root)
        ends.append(time.perf_counter())
        train_head(loaded, _SNAPSHOT, root.train("head"), statistics, NullProgress())
        ends.append(time.perf_counter())
        head = load_head(root.train("head"))
        heads = fold_heads(loaded, head, _FOLDS, statistics, NullProgress())
        ends.append(time.perf_counter())
        predict_photos(loaded, head, heads, NullProgress())
        ends.append(time.perf_counter())
    sys.stdout.write(json.dumps(dict(zip(("load", "train", "folds", "predict"), np.diff(ends).tolist(), strict=True))))
