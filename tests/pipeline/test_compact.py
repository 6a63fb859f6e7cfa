"""`python -m pipeline compact` on what nightly runs left."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tasks.shards.store import ShardStore
from tasks.storage.layout import DataRoot
from tasks.storage.locks import lock_folder
from tests.pipeline.command import LITTLE, Project, draw
from tests.pipeline.first_stages import retrain_here
from tests.shards.rows import bottlenecks, keys, open_store
from tests.support.processes import TIMEOUT, read_line, running
from tests.support.repository import REPOSITORY


def call(root: Path, *arguments: object) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(app, ["compact", "--data-root", str(root), *map(str, arguments)])


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    """A bottleneck store of three small shards."""
    store = open_store(DataRoot(tmp_path).bottleneck("cafe"))
    for start in (0, 10, 20):
        store.append(bottlenecks(range(start, start + 10)))
    return store


def test_a_night_after_it_finds_everything_and_computes_nothing(copied: Project) -> None:
    for night in (2, 3):
        draw(copied.photos, range(night * 18, night * 18 + 6))
        (copied.photos / "daisy" / f"broken-{night}.jpg").write_bytes(b"broken %d" % night)
        retrain_here(copied, date=f"2026-03-{night:02}", **LITTLE)
    before = {folder: sorted(folder.glob("part-*")) for folder in copied.root.glob("*/*")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "compact", "--data-root", copied.root],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        [f"{folder}: {shards} shards become 1", f" {rows} rows"]
        for folder, shards, rows in zip(
            [
                *sorted(copied.root.glob("decode/*")),
                *sorted(copied.root.glob("decode/*/rejected")),
                *sorted(copied.root.glob("bottleneck/*")),
            ],
            (3, 2, 3),
            (48, 2, 48),
            strict=True,
        )
    ]
    assert all(len(list(folder.glob("part-*"))) == 1 for folder, shards in before.items() if shards)
    # Another seed, so that the head is trained anew on the bottlenecks of all nights.
    retrain_here(copied, date="2026-03-04", seed="1", **LITTLE)
    new, record = copied.new("2026-03-04"), copied.record("2026-03-04")
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    assert (record["stages"]["bottleneck"]["photos"], record["rejected"]) == (48, 2)


def test_it_says_in_a_line_what_it_did_and_again_that_there_is_nothing(store: ShardStore, tmp_path: Path) -> None:
    store.append(bottlenecks(range(5), first=1))
    before, size = call(tmp_path, "--dry-run"), sum(shard.stat().st_size for shard in store.shards()) / 1e6
    told = f"1, 30 rows, 5 that stood twice dropped, {size:,.1f} MB"
    assert (before.exit_code, before.stdout) == (0, f"{store.folder}: 4 shards would become {told}\n")
    assert len(store.shards()) == 4
    done = call(tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{store.folder}: 4 shards become {told} become ")
    assert done.stdout.count("\n") == 1
    (shard,) = store.shards()
    size = shard.stat().st_size / 1e6
    assert call(tmp_path).stdout == f"{store.folder}: 1 shards, 30 rows, {size:,.1f} MB: nothing to merge\n"


def test_the_rows_of_a_shard_are_an_option(store: ShardStore, tmp_path: Path) -> None:
    assert call(tmp_path, "--rows", 20).exit_code == 0
    assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == [10, 10, 10], "half is not small"
    assert call(tmp_path, "--rows", 21).exit_code == 0
    assert sorted(pq.read_metadata(shard).num_rows for shard in store.shards()) == [10, 20]


def test_a_damaged_shard_is_told_of_and_the_other_stores_are_compacted(store: ShardStore, tmp_path: Path) -> None:
    other = open_store(DataRoot(tmp_path).bottleneck("abcd"))
    for start in (0, 10):
        other.append(bottlenecks(range(start, start + 10)))
    damaged = other.shards()[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    done = call(tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{damaged} is damaged (")
    assert "Traceback" not in done.output
    assert len(other.shards()) == 2
    assert len(store.shards()) == 1


def test_a_disk_without_room_is_told_of_and_nothing_is_lost(store: ShardStore, tmp_path: Path) -> None:
    # A limit on the size of files, in KiB, is met as a full disk is.
    command = f"ulimit -f 1; exec {sys.executable} -m pipeline compact --data-root {tmp_path}"
    done = subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 1
    assert done.stderr.startswith(f"The store {store.folder} cannot be compacted (")
    assert "Make room" in done.stderr
    assert store.found(keys(*range(30))).all()
    assert len(list(store.folder.iterdir())) == 3


def test_a_second_one_says_that_it_waits(store: ShardStore, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "compact", "--data-root", str(tmp_path)]
    with ExitStack() as rest:
        with lock_folder(store.folder):
            process = rest.enter_context(running(command))
            line = read_line(process)
            assert line == f"Another process works in {store.folder}; waiting until it has ended.\n"
            assert len(store.shards()) == 3
        assert process.communicate(timeout=TIMEOUT)[0].startswith(f"{store.folder}: 3 shards become 1, ")
    assert store.found(keys(*range(30))).all()


def test_a_data_root_without_stores_has_nothing_to_tell(tmp_path: Path) -> None:
    assert call(tmp_path).stdout == f"No stores in {tmp_path}.\n"


def test_a_data_root_that_is_not_there_is_an_error_of_usage(tmp_path: Path) -> None:
    done = call(tmp_path / "nowhere")
    assert done.exit_code == 2
    assert "does not exist" in " ".join(done.stderr.split())


def test_help_has_examples(tmp_path: Path) -> None:
    done = call(tmp_path, "--help")
    assert "python -m pipeline compact --dry-run" in done.stdout
    assert all(option in done.stdout for option in ("--data-root", "--rows", "--dry-run"))
    assert done.stdout.isascii()
