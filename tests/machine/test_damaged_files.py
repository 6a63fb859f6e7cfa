"""A damaged file is named and moved aside, and its contents are computed again in the same run."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks import events
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.shards.manifests import StageResult
from tasks.shards.store import ShardStore
from tasks.stage import RunStageTask
from tasks.storage.layout import manifest_path
from tests.machine.conftest import run_in
from tests.pipeline.command import Project
from tests.pipeline.in_process import stages_of
from tests.shards.rows import bottlenecks, keys, open_store
from tests.support.processes import Finished, run

KEYS = range(5)
Damages = Callable[[], list[Mapping[str, str]]]


class WriteRows(RunStageTask):
    """Fills a store."""

    stage = "write"

    def store(self) -> ShardStore:
        return open_store(self.root.path / "store")

    def manifest_path(self) -> AnyPath:
        return manifest_path(self.store().folder, "beef")

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (there is little to tell)
        search = self.store().search(keys(*KEYS))
        left = [key for key, there in zip(KEYS, search.found, strict=True) if not there]
        if left:
            self.store().append(bottlenecks(left))
            search.update()
        names = tuple(shard.name for shard in search.shards())
        return StageResult("store", "beef", {}, len(KEYS), len(left), len(KEYS) - len(left), names)


class Between(RunStageTask):
    """Needs the store, and stays done whatever becomes of the store."""

    stage = "between"

    def requires(self) -> WriteRows:
        return WriteRows(context=self.context)

    def manifest_path(self) -> AnyPath:
        return self.root.path / "between" / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002
        return StageResult("between", "beef", {}, 0, 0, 0)


class ReadRows(RunStageTask):
    """Reads the store."""

    stage = "read"

    def requires(self) -> Between:
        return Between(context=self.context)

    def manifest_path(self) -> AnyPath:
        return self.root.path / "read" / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002
        write = self.requires().requires()
        shards = [write.store().folder / name for name in write.manifest().shards]
        found = sum(rows.num_rows for rows in write.store().rows(keys(*KEYS), shards=shards))
        write.store().check(found, write.manifest().photos, "rows")
        return StageResult("read", "beef", {}, found, found, 0)


def read_by_luigi(root: Path, *options: str) -> Finished:
    command = [sys.executable, "-m", "tests.support.luigi_program", "--module", "tests.machine.test_damaged_files"]
    return run([*command, "ReadRows", "--context", json.dumps({"data_root": str(root)}), *options])


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """The only shard of a root in which all but the last of three stages are done."""
    between = Between(context=RunContext(data_root=str(tmp_path)))
    between.requires().run()
    between.run()
    (shard,) = (tmp_path / "store").glob("part-*.parquet")
    return shard


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(("damage", "options"), [(flip_a_bit, ("--workers", "2")), (cut, ()), (Path.unlink, ())])
def test_a_damaged_shard_is_made_again_in_the_same_run(
    tmp_path: Path, shard: Path, damage: Callable[[Path], None], options: tuple[str, ...]
) -> None:
    good = shard.read_bytes()
    damage(shard)
    there = shard.exists()
    done = read_by_luigi(tmp_path, *options)
    assert done.code == 0
    assert done.errors.startswith(f"WARNING: {shard} is {'damaged' if there else 'gone'}")
    assert done.errors.count("\n") == 1
    assert [line.split()[0] for line in done.output.splitlines()] == ["write", "read"]
    assert ReadRows(context=RunContext(data_root=str(tmp_path))).manifest().photos == len(KEYS)
    assert shard.read_bytes() == good
    assert [path.name for path in (tmp_path / "store" / "damaged").glob("*")] == ([shard.name] if there else [])


@pytest.fixture
def damages(capsys: pytest.CaptureFixture[str]) -> Iterator[Damages]:
    """The events of damaged files from here on."""

    def told() -> list[Mapping[str, str]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [event for event in lines if event["event"] == "damaged"]

    capsys.readouterr()
    events.set_format("json")
    yield told
    events.set_format("text")


def test_a_damaged_file_is_an_event(tmp_path: Path, shard: Path, damages: Damages) -> None:
    cut(shard)
    ReadRows(context=RunContext(data_root=str(tmp_path))).run()
    (damaged,) = damages()
    assert (damaged["stage"], damaged["path"]) == ("read", str(shard))


def test_a_manifest_that_promises_more_than_there_is_is_made_again(tmp_path: Path, shard: Path) -> None:
    task = ReadRows(context=RunContext(data_root=str(tmp_path)))
    write = task.requires().requires()
    replace(write.manifest(), photos=len(KEYS) + 1).publish(write.manifest_path())
    task.run()
    assert write.manifest().photos == len(KEYS)
    assert shard.exists()


def test_a_shard_that_is_damaged_twice_ends_the_run(tmp_path: Path, shard: Path) -> None:
    task = ReadRows(context=RunContext(data_root=str(tmp_path)))
    cut(shard)
    task.run()
    cut(shard)
    with pytest.raises(StoreError, match="Check the disk"):
        task.run()


def test_a_stage_heals_its_own_store(tmp_path: Path, shard: Path) -> None:
    task = WriteRows(context=RunContext(data_root=str(tmp_path)))
    good = shard.read_bytes()
    cut(shard)
    task.manifest_path().unlink()
    task.run()
    assert shard.read_bytes() == good
    assert task.manifest().new == len(KEYS)


@pytest.fixture
def root(done: Project, tmp_path: Path) -> Path:
    """A copy of the data root of all stages."""
    return shutil.copytree(done.root, tmp_path / "data")


def test_pictures_and_bottlenecks_are_made_again_together(done: Project, root: Path, damages: Damages) -> None:
    shutil.rmtree(root / "train")
    shards = [*root.glob("decode/*/part-*.parquet"), *root.glob("bottleneck/*/part-*.parquet")]
    before = [pq.read_table(shard, columns=["sha256"]) for shard in shards]
    for shard in shards:
        flip_a_bit(shard)
    stages_of(run_in(Project(done.photos, root)))["train"].run()
    assert sorted(damaged["path"] for damaged in damages()) == sorted(map(str, shards))
    assert len(shards) == len([*root.glob("*/*/damaged/*")]) == 2
    assert [pq.read_table(shard, columns=["sha256"]) for shard in shards] == before
    for name in ("head.npz", "head.json"):
        ours, theirs = (next(place.glob(f"train/*/{name}")) for place in (root, done.root))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("name", "removed", "stage"),
    [("predictions.parquet", ["report"], "report"), ("head.npz", ["report", "evaluate"], "evaluate")],
)
def test_damaged_results_are_made_again(done: Project, root: Path, name: str, removed: list[str], stage: str) -> None:
    for folder in removed:
        shutil.rmtree(root / folder)
    (damaged,) = [*root.glob(f"evaluate/*/{name}"), *root.glob(f"train/*/{name}")]
    good = damaged.read_bytes()
    cut(damaged)
    stages_of(run_in(Project(done.photos, root)))[stage].run()
    assert damaged.read_bytes() == good
    assert (damaged.parent / "damaged" / name).stat().st_size == 100
