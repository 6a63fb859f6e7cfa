"""What the queries of a store and of a dataset cost, by keys and by shards; `tests.benchmarks.growth` tells it."""

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa

from tasks.decode.photos import DecodeStores, decode_photos
from tasks.decode.settings import DecodeSettings
from tasks.progress import NullProgress
from tasks.shards.schemas import DECODE, REJECTED, describe
from tasks.shards.store import ShardStore
from tasks.snapshot.photos import take_snapshot, usable
from tasks.snapshot.walk import list_files
from tests.benchmarks.made_up import fill_decoded, make_keys, make_snapshot
from tests.benchmarks.resident import forget_peak, peak, resident
from tests.benchmarks.table import Table

KEYS = [100_000, 1_000_000]
SHARDS = [100, 1_000, 10_000]
#: What a compaction leaves by default, and a walk's files, which are slow to make.
LARGE_SHARD = 16_384
WALKED = 10
#: A ratio wants more than nothing: of each figure for one key or shard more.
_LEAST = 1e-9


def open_made_up(folder: Path) -> ShardStore:
    """A store of pictures of no bytes."""
    return ShardStore(folder, describe(DECODE, "decode", "made up", {}), 256)


def found(folder: Path, keys: int) -> Callable[[], object]:
    """Which of all keys have a row."""
    store, wanted = open_made_up(folder), make_keys(keys)
    return lambda: store.found(wanted)


def holding(folder: Path, keys: int) -> Callable[[], object]:
    """Which shards hold all keys."""
    store, wanted = open_made_up(folder), make_keys(keys)
    return lambda: store.search(wanted).shards()


def rows(folder: Path, keys: int) -> Callable[[], object]:
    """The rows of 20 keys, the last of which nobody has: every shard is looked into."""
    store, wanted = open_made_up(folder), make_keys(keys).take(pa.array([place * keys // 20 for place in range(19)]))
    wanted = pa.concat_arrays([wanted, make_keys(1, seed=1)])
    return lambda: deque(store.rows(wanted, ["sha256"]), maxlen=0)


def usable_photos(_: Path, keys: int) -> Callable[[], object]:
    """The usable photos of a snapshot."""
    table = make_snapshot(make_keys(keys))
    return lambda: usable(table)


def decode(folder: Path, keys: int) -> Callable[[], object]:
    """What the decode stage does where every photo has a picture."""
    rejected = ShardStore(folder / "rejected", describe(REJECTED, "decode", "made up", {}), 256)
    stores = DecodeStores(DecodeSettings(size=64, resize=64), open_made_up(folder), rejected)
    photos = usable(make_snapshot(make_keys(keys)))
    return lambda: decode_photos(photos, folder, stores, NullProgress())


def walk(folder: Path, keys: int) -> Callable[[], object]:
    """How a dataset looks from outside: a tenth as many files, told for as many."""
    photos = make_files(folder, keys // WALKED)
    return lambda: list_files(photos).state()


def snapshot(folder: Path, keys: int) -> Callable[[], object]:
    """A snapshot of files that were all hashed before: a tenth as many, told for as many."""
    photos = make_files(folder, keys // WALKED)
    known = take_snapshot(photos, None, NullProgress()).hashes
    return lambda: take_snapshot(photos, known, NullProgress())


def make_files(folder: Path, count: int) -> Path:
    """Make a dataset of files that differ, an hour old."""
    photos, then = folder / "photos", time.time() - 3600
    for number in range(count):
        file = photos / f"label{number % 5}" / f"{number:09d}.jpg"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}")
            os.utime(file, (then, then))
    return photos


QUERIES = {
    "found": found,
    "holding": holding,
    "rows": rows,
    "usable": usable_photos,
    "decode": decode,
    "walk": walk,
    "snapshot": snapshot,
}


def run_query(name: str, folder: Path, keys: int, repeat: int) -> tuple[list[float], float]:
    """Run a query in this process; seconds of each time, and the MB that it takes at most."""
    query = QUERIES[name](folder, keys)
    scale = WALKED if name in ("walk", "snapshot") else 1
    # What making things up has freed again would be taken for nothing.
    pa.default_memory_pool().release_unused()
    before = resident()
    forget_peak()
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        query()
        seconds.append((time.perf_counter() - started) * scale)
    # A ratio wants more than nothing.
    return seconds, max((peak() - before) * scale, 0.1)


def measure(names: Sequence[str], folder: Path, keys: int, repeat: int) -> dict[str, tuple[list[float], float]]:
    """Run queries, each in a fresh process."""
    measured = {}
    for name in names:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            measured[name] = process.submit(run_query, name, folder, keys, repeat).result()
        seconds, megabytes = measured[name]
        sys.stdout.write(f"{name:<8} {keys:>10,} keys {statistics.median(seconds):>9.3f} s {megabytes:>8.1f} MB\n")
        sys.stdout.flush()
    return measured


def measure_queries(keys: Sequence[int], shards: Sequence[int], repeat: int) -> list[Table]:
    """Measure every query by keys, and those of a store by shards, and the slopes of both."""
    by_keys, by_shards = {}, {}
    for count in keys:
        with tempfile.TemporaryDirectory() as folder:
            fill_decoded(open_made_up(Path(folder)), make_keys(count), LARGE_SHARD)
            by_keys[count] = measure(list(QUERIES), Path(folder), count, repeat)
    same = 10 * max(shards)
    for count in shards:
        with tempfile.TemporaryDirectory() as folder:
            fill_decoded(open_made_up(Path(folder)), make_keys(same), same // count)
            sys.stdout.write(f"{count:,} shards\n")
            by_shards[count] = measure(["found", "holding", "rows"], Path(folder), same, repeat)
    return [*_tables(by_keys, "keys", 1_000_000), *_tables(by_shards, "shards", 1_000)]


def _tables(measured: Mapping[int, Mapping[str, tuple[list[float], float]]], what: str, unit: int) -> list[Table]:
    names = list(next(iter(measured.values())))
    seconds = {f"{name}, {count:,} {what}": own[name][0] for name in names for count, own in measured.items()}
    memory = {f"{name}, {count:,} {what}": [own[name][1]] for name in names for count, own in measured.items()}
    slopes = {
        column: {name: [_slope({count: figure(own[name]) for count, own in measured.items()}) * unit] for name in names}
        for column, figure in (("s", _median), ("MB", _megabytes))
    }
    return [
        Table("growth", f"Queries by {what}: time", "s", next(iter(seconds)), seconds),
        Table("growth", f"Queries by {what}: memory", "MB", next(iter(memory)), memory),
        *(
            Table("growth", f"Slope: {column} for each {unit:,} {what} more", column, names[0], rows)
            for column, rows in slopes.items()
        ),
    ]


def _median(figures: tuple[list[float], float]) -> float:
    return statistics.median(figures[0])


def _megabytes(figures: tuple[list[float], float]) -> float:
    return figures[1]


def _slope(figures: Mapping[int, float]) -> float:
    """From the smallest to the largest; a fall is noise."""
    least, most = min(figures), max(figures)
    return max((figures[most] - figures[least]) / (most - least), _LEAST) if most > least else _LEAST
