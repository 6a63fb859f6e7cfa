"""Compactions beside readers and each other, and killed ones: no row is lost."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.progress import NullProgress
from tasks.shards.compaction import Compacted, run_compaction
from tasks.shards.store import ShardStore
from tests.shards.rows import (
    VIEWS,
    bottlenecks,
    counts,
    every_view,
    keys,
    named,
    open_store,
    publish_manifest,
    rows_at,
    rows_of,
    seven_shards,
)
from tests.storage.processes import MOMENT
from tests.support.processes import TIMEOUT, kill_at, until


def compact(store: ShardStore, rows_per_shard: int, stop: int) -> None:
    """Compact a store, and die before the n-th time that a file is renamed or removed."""
    kill_at(stop)
    run_compaction(store, rows_per_shard, NullProgress())


@contextmanager
def compacting(store: ShardStore, rows_per_shard: int, stop: int = -1) -> Iterator[ForkProcess]:
    """Compact a store in a process of its own; see `compact`."""
    process = get_context("fork").Process(target=compact, args=(store, rows_per_shard, stop))
    process.start()
    try:
        yield process
        process.join(TIMEOUT)
    finally:
        process.kill()
    assert process.exitcode == (0 if stop < 0 else -signal.SIGKILL)


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return seven_shards(tmp_path / "store")


def test_a_reader_continues_during_a_compaction(store: ShardStore) -> None:
    stream = store.rows(keys(*range(21)))
    read = [next(stream)]
    run_compaction(store, 100, NullProgress())
    read += stream
    assert rows_of(pa.concat_tables(read)) == every_view(range(21))


# Each large shard and each manifest is renamed (0, 2, 4 and 11, 13), then old shards are removed; the steps in between
# remove a temporary name that is gone already.
@pytest.mark.parametrize("stop", [0, 1, 2, 3, 4, 6, 8, 10, 11, 12, 13, 15, 16])
def test_a_compaction_killed_before_any_step_loses_nothing_and_can_be_completed(store: ShardStore, stop: int) -> None:
    known = named(store, "all")
    with compacting(store, 30, stop):
        pass
    for shards in (None, known, named(store, "all")):
        assert rows_at(store, range(21), shards) == every_view(range(21))
    assert set(every_view(range(6))) <= set(rows_at(store, range(21), named(store, "two")))
    store.sweep()
    run_compaction(store, 30, NullProgress())
    assert sum(counts(store)) == 42
    assert not list(store.folder.glob(".tmp-*"))
    for shards in (None, known, named(store, "all")):
        assert rows_at(store, range(21), shards) == every_view(range(21))


def test_readers_beside_a_compaction_find_every_row_once(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    old = [store.append(bottlenecks(range(start, start + 3), VIEWS)) for start in range(0, 240, 3)]
    publish_manifest(store, "all", old)
    with compacting(store, 36) as process:

        def reads_all_and_it_has_ended() -> bool:
            # Asked before, so that it is read once more after the end.
            has_ended = not process.is_alive()
            for shards in (None, old, named(store, "all")):
                assert rows_at(store, range(240), shards) == every_view(range(240))
            assert store.found(keys(*range(240))).all()
            return has_ended

        until(reads_all_and_it_has_ended)
    assert len(store.shards()) == 480 // 36 + 1


def test_a_second_compaction_waits_for_the_first(store: ShardStore) -> None:
    class Second(NullProgress):
        def start(self, total: int, unit: str) -> None:  # noqa: ARG002 (not reported)
            self.done = pool.submit(run_compaction, store, 30, NullProgress())
            with pytest.raises(TimeoutError):
                self.done.result(MOMENT)

    with ThreadPoolExecutor(1) as pool:
        second = Second()
        first = run_compaction(store, 30, second)
        assert second.done.result(TIMEOUT) == Compacted(first.after, first.after)
    assert sum(counts(store)) == 42
