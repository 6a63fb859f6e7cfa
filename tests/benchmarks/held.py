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

from tasks.artifacts import DataRoot, Outcome, describe, publish_parquet
from tasks.artifacts.manifests import Manifest
from tasks.bottleneck.extract import PHOTOS_PER_SHARD
from tasks.bottleneck.on_ray import _blocks
from tasks.bottleneck.photos import Missing
from tasks.cluster.messages import Task
from tasks.cluster.sizes import Pool
from tasks.decode.on_ray import cut
from tasks.decode.photos import ROWS_PER_SHARD
from tasks.decode.workers import Photo
from tasks.paths import AnyPath
from tasks.snapshot.photos import usable
from tests.benchmarks.made_up import fill_bottlenecks, fill_decoded, make_keys, make_snapshot
from tests.benchmarks.queries import LARGE_SHARD, measure, open_made_up
from tests.benchmarks.resident import forget_peak, peak, resident

#: Seconds, and the bytes that it holds at most.
Cost = tuple[float, float]
#: What `tests.benchmarks.queries` measures.
_QUERIES = ("walk", "snapshot", "decode", "holding", "usable")
#: Numbers of a made-up bottleneck, and views: what is held of each photo beside its bottleneck is looked for.
_WIDTH, _VIEWS = 4, 2
_SEED = (0, 0)
_TRAIN = "import sys; from tests.benchmarks.held import train; train(*sys.argv[1:])"


def tasks_for(_: Path, keys: int) -> Callable[[], object]:
    """The photos that a first run hands to the processes that decode."""
    photos = usable(make_snapshot(make_keys(keys)))
    return lambda: list(map(Photo, *(photos.column(name).to_pylist() for name in ("sha256", "path"))))


def load(folder: Path, keys: int) -> Callable[[], object]:
    """The photos and bottlenecks that a training loads, and the order of an epoch."""
    from tasks.train.feed import in_batches, shuffle_nearby  # noqa: PLC0415 (imports TensorFlow, which only this needs)
    from tasks.train.photos import load_photos  # noqa: PLC0415
    from tests.benchmarks.head import settings  # noqa: PLC0415

    root, how = DataRoot(folder), settings(_WIDTH, 1, 1).bottleneck
    own = make_keys(keys)
    publish_parquet(root.snapshot("made-up"), make_snapshot(own))
    store = how.store(root)
    fill_bottlenecks(store, own, LARGE_SHARD)
    outcome = Outcome("made-up", "made-up", {}, keys, keys, 0, tuple(shard.name for shard in store.shards()))
    manifest = Manifest(stage="bottleneck", run="benchmark", seconds=0.0, **vars(outcome))

    def query() -> object:
        return load_photos("made-up", manifest, how, root), in_batches(shuffle_nearby(_VIEWS * keys, _SEED), 128)

    return query


def predict(folder: Path, keys: int) -> Callable[[], object]:
    """The predictions that an evaluation writes of its photos, then what a report makes of them."""
    from tasks.evaluate.predictions import tabulate_predictions  # noqa: PLC0415 (only this needs them)
    from tasks.report.choice import choose_photos  # noqa: PLC0415
    from tasks.report.predicted import read_predicted  # noqa: PLC0415
    from tasks.report.repeated import find_repetitions  # noqa: PLC0415
    from tasks.report.results import judge  # noqa: PLC0415
    from tasks.train.photos import _photos  # noqa: PLC0415

    snapshot = usable(make_snapshot(make_keys(keys)))

    def query() -> object:
        photos = _photos(snapshot)
        labels = len(photos.labels)
        table = tabulate_predictions(photos, np.full((keys, labels), 1 / labels, np.float32))
        schema = describe(table.schema, "evaluate", "made-up", {"labels": list(photos.labels)})
        publish_parquet(folder / "predictions.parquet", table.cast(schema))
        del photos, table
        predicted = read_predicted(folder)
        return predicted, judge(predicted), find_repetitions(snapshot), choose_photos(predicted, [], points=1000)

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
            list(_blocks(Missing(wanted, shards, np.arange(keys) // ROWS_PER_SHARD), PHOTOS_PER_SHARD)),
        ):
            pickle.dumps(Task(len, None, made, pool))  # type: ignore[arg-type]  # for nobody

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


def by_trained(photos: int) -> dict[str, float]:
    """Seconds of a training on so many photos' bottlenecks, which are read from disk where they are many.

    Returns:
        Of loading them, of what comes before and after the epochs, and of one epoch.
    """
    # In a process of its own: it imports TensorFlow.
    command = [sys.executable, "-c", _TRAIN, str(photos)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stderr}")
    told: dict[str, float] = json.loads(done.stdout)
    sys.stdout.write(f"training {photos:,} photos {', '.join(f'{name} {own:.3g} s' for name, own in told.items())}\n")
    sys.stdout.flush()
    return told


def train(photos: str) -> None:
    """Train in this process, and print what that took."""
    from tests.benchmarks import head  # noqa: PLC0415 (imports TensorFlow, which only this needs)

    how = head.settings(1280, _VIEWS, 2)
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder))
        head.make_up(root, int(photos), how).publish(root.path / "manifest.json")
        command = [sys.executable, "-c", head.TRAIN, folder, "1280", f"{_VIEWS}", "2"]
        done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
    # The first epoch has TensorFlow trace its graph.
    told = {"load": done["load"], "aside": done["measure"] + done["choose"], "epoch": done["epochs"][-1]}
    sys.stdout.write(json.dumps(told))
