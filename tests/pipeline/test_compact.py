"""`python -m pipeline compact`: the small shards of the stores are merged."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.shards.store import ShardStore
from tasks.storage.files import lock_folder
from tasks.storage.layout import DataRoot
from tests.pipeline.command import LITTLE, Finished, Project, assert_error, draw, verb
from tests.pipeline.in_process import retrain_here
from tests.shards.rows import bottlenecks, keys, open_store
from tests.support.processes import TIMEOUT, read_line, run, running


def compact(root: Path, *arguments: object) -> Finished:
    return verb("compact", "--data-root", root, *arguments)


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    """A bottleneck store of three small shards."""
    store = open_store(DataRoot(tmp_path).bottleneck("cafe"))
    for start in (0, 10, 20):
        store.append(bottlenecks(range(start, start + 10)))
    return store


@pytest.mark.slow
def test_the_next_run_finds_everything_and_computes_nothing(copied: Project) -> None:
    for day in (2, 3):
        draw(copied.photos, range(day * 18, day * 18 + 6))
        (copied.photos / "daisy" / f"broken-{day}.jpg").write_bytes(b"broken %d" % day)
        retrain_here(copied, date=f"2026-03-{day:02}", **LITTLE)
    patterns = ("decode/*", "decode/*/rejected", "bottleneck/*")
    (decoded,), (rejected,), (bottleneck,) = (list(copied.root.glob(pattern)) for pattern in patterns)
    done = compact(copied.root)
    assert (done.code, done.errors) == (0, "")
    assert [line.split(",")[:2] for line in done.output.splitlines()] == [
        [f"{decoded}: 3 shards become 1", " 48 rows"],
        [f"{rejected}: 2 shards become 1", " 2 rows"],
        [f"{bottleneck}: 3 shards become 1", " 48 rows"],
    ]
    assert [len(list(folder.glob("part-*"))) for folder in (decoded, rejected, bottleneck)] == [1, 1, 1]
    # Another seed, so that the head is trained anew on the bottlenecks of all runs.
    retrain_here(copied, date="2026-03-04", seed="1", **LITTLE)
    new, record = copied.new("2026-03-04"), copied.record("2026-03-04")
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    assert (record["stages"]["bottleneck"]["photos"], record["rejected"]) == (48, 2)


def test_a_line_says_what_is_or_would_be_merged_and_again_that_there_is_nothing(
    store: ShardStore, tmp_path: Path
) -> None:
    store.append(bottlenecks(range(5), first=1))
    before, size = compact(tmp_path, "--dry-run"), sum(shard.stat().st_size for shard in store.shards()) / 1e6
    merged = f"1, 30 rows, 5 duplicates dropped, {size:,.1f} MB"
    assert before == Finished(0, f"{store.folder}: 4 shards would become {merged}\n", "")
    assert len(store.shards()) == 4
    done = compact(tmp_path)
    assert (done.code, done.output.count("\n")) == (0, 1)
    assert done.output.startswith(f"{store.folder}: 4 shards become {merged} become ")
    (shard,) = store.shards()
    size = shard.stat().st_size / 1e6
    assert compact(tmp_path).output == f"{store.folder}: 1 shards, 30 rows, {size:,.1f} MB: nothing to merge\n"


def test_shards_of_half_the_rows_are_not_small(store: ShardStore, tmp_path: Path) -> None:
    for rows, expected in ((20, [10, 10, 10]), (21, [10, 20])):
        assert compact(tmp_path, "--rows", rows).code == 0
        assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == expected


def test_a_damaged_shard_is_named_and_the_other_stores_are_compacted(store: ShardStore, tmp_path: Path) -> None:
    other = open_store(DataRoot(tmp_path).bottleneck("abcd"))
    for start in (0, 10):
        other.append(bottlenecks(range(start, start + 10)))
    damaged = other.shards()[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert_error(compact(tmp_path), 1, f"{damaged} is damaged (")
    assert (len(other.shards()), len(store.shards())) == (2, 1)


def test_a_full_disk_is_reported_and_nothing_is_lost(store: ShardStore, tmp_path: Path) -> None:
    # A file that grows beyond a limit, in KiB, fails as on a full disk.
    command = f"ulimit -f 1; exec {sys.executable} -m pipeline compact --data-root {tmp_path}"
    assert_error(run(["bash", "-c", command]), 1, f"The store {store.folder} cannot be compacted (", "Make room")
    assert store.found(keys(*range(30))).all()
    assert len(list(store.folder.iterdir())) == 3


def test_a_second_command_says_that_it_waits(store: ShardStore, tmp_path: Path) -> None:
    with ExitStack() as rest:
        with lock_folder(store.folder):
            command = [sys.executable, "-m", "pipeline", "compact", "--data-root", tmp_path]
            process = rest.enter_context(running(command))
            line = read_line(process)
            assert line == f"Another process works in {store.folder}; waiting until it has ended.\n"
            assert len(store.shards()) == 3
        assert process.communicate(timeout=TIMEOUT)[0].startswith(f"{store.folder}: 3 shards become 1, ")
    assert store.found(keys(*range(30))).all()


def test_a_data_root_may_be_empty_but_must_exist(tmp_path: Path) -> None:
    assert compact(tmp_path).output == f"No stores in {tmp_path}.\n"
    assert_error(compact(tmp_path / "nowhere"), 2, "does not exist")
