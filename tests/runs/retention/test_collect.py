"""What a collection keeps, what it takes, and what it never touches."""

import datetime as dt
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.paths import is_remote, to_path
from tasks.progress import NullProgress
from tasks.runs.retention.collect import collect, collect_after_run
from tasks.runs.retention.garbage import plan_collection
from tasks.runs.retention.live_set import Policy
from tasks.shards.manifests import read_manifest
from tasks.storage import leases
from tasks.storage.files import lock_folder, publish_bytes, publish_json, read_json
from tasks.storage.layout import DataRoot, manifest_path
from tasks.storage.remote_listing import objects_below
from tests.runs.retention.nights import Night, decoded, embedded, make, missing, rejected, stores
from tests.storage.processes import started
from tests.support.data_root import record, stage
from tests.support.processes import read_line
from tests.support.servers.object_store import ObjectStore

#: Holds the lock of a night until it is told to end.
HOLD_NIGHT = """
import sys
from tasks.storage.files import storage_at
from tasks.paths import is_remote, to_path
storage_at(to_path(sys.argv[1])).lock_until_exit(to_path(sys.argv[1]), "a night")
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    """An empty data root."""
    return DataRoot(tmp_path / "data")


def night(day: int, *photos: int, **changes: object) -> Night:
    return replace(Night("flowers", dt.date(2026, 3, day), frozenset(photos)), **changes)  # type: ignore[arg-type]


def take(root: DataRoot, runs: int = 1, **policy: object) -> None:
    collect(root, Policy(runs, **policy), NullProgress())  # type: ignore[arg-type]


def stays(root: DataRoot, of: Night) -> bool:
    """Whether a run is there, which is whole then."""
    there = of.record(root).exists()
    lacking = [photo for store in stores(root, of) for photo in missing(store, of.good)]
    folders = [root.path / stage / of.key(stage) for stage in ("train", "evaluate", "predict", "report")]
    assert not there or (lacking == [] and all(folder.exists() for folder in folders))
    return there


def test_the_newest_runs_of_each_dataset_stay(root: DataRoot[Path]) -> None:
    nights = [night(day, day, day + 1, dataset=name) for name in ("flowers", "trees") for day in (1, 2, 3)]
    for made in nights:
        make(root, made)
    take(root, 2)
    assert [stays(root, made) for made in nights] == [False, True, True] * 2


def test_of_the_datasets_that_are_not_named_all_runs_stay(root: DataRoot[Path]) -> None:
    nights = [night(day, day, dataset=name) for name in ("flowers", "trees") for day in (1, 2)]
    for made in nights:
        make(root, made)
    take(root, datasets=("trees",))
    assert [stays(root, made) for made in nights] == [True, True, False, True]


def test_the_run_that_made_the_champion_stays(root: DataRoot[Path]) -> None:
    nights = [night(1, 1), night(2, 2, crowned=True), night(3, 3)]
    for made in nights:
        make(root, made)
    take(root)
    assert [stays(root, made) for made in nights] == [False, True, True]


def test_all_stores_of_a_run_with_two_backbones_stay_and_go_with_it(root: DataRoot[Path]) -> None:
    joined, alone = night(1, 1, 2, joined=True), night(2, 3)
    for made in (joined, alone):
        make(root, made)
    take(root, 2)
    assert stays(root, joined)
    take(root)
    assert not stays(root, joined)
    assert [store.folder.exists() for store in stores(root, joined)] == [True, True, False, False]


@pytest.mark.parametrize("joined", [False, True])
def test_what_the_champion_was_asked_of_stays(root: DataRoot[Path], *, joined: bool) -> None:
    """It is of later nights, in the champion's stores; a manifest that nobody refers to goes, and its shards stay."""
    crowned = night(1, 1, settings="b", joined=joined, crowned=True)
    make(root, crowned)
    make(root, night(2, 2, 3))
    make(root, night(2, 2, 3, dataset="trees", settings="b", joined=joined, until="bottleneck"))
    (root.snapshots("trees") / "2026-03-02.json").unlink()
    take(root)
    for store in stores(root, crowned):
        assert missing(store, [1, 2, 3]) == []
        assert not manifest_path(store.folder, night(2, 2, 3).snapshot).exists()


def test_statistics_of_a_dataset_go_with_its_last_night(root: DataRoot[Path]) -> None:
    make(root, night(1, 1))
    make(root, night(1, 1, dataset="trees", until="train"))
    take(root)
    assert root.statistics("trees").exists()
    (root.snapshots("trees") / "2026-03-01.json").unlink()
    take(root)
    assert [root.statistics(name).exists() for name in ("flowers", "trees")] == [True, False]


def test_a_newest_night_that_came_to_no_record_keeps_what_it_has(root: DataRoot[Path]) -> None:
    make(root, night(1, 1, 2))
    late = night(2, 2, 3, 4, until="evaluate")
    make(root, late)
    manifest_path(embedded(root, late).folder, late.snapshot).unlink()
    take(root)
    assert missing(decoded(root, late), [2, 3, 4]) == missing(embedded(root, late), [2, 3, 4]) == []
    assert root.snapshot(late.snapshot).exists()
    assert (root.train(late.key("train")) / "checkpoints").exists()
    make(root, night(3, 1))
    take(root)
    assert not root.train(late.key("train")).exists()
    assert missing(decoded(root, late), [3, 4]) == [3, 4]


def test_rows_of_rejected_photos_stay_whatever_the_shard(root: DataRoot[Path]) -> None:
    bad = night(1, 1, 7, rejected=frozenset({7}))
    make(root, bad)
    make(root, night(2, 1, 7, 8, rejected=frozenset({7, 8})))
    take(root)
    assert missing(rejected(root, bad), [7, 8]) == []
    make(root, night(3, 1, 8, rejected=frozenset({8})))
    take(root)
    assert missing(rejected(root, bad), [7, 8]) == [7]


def test_a_shard_of_which_one_row_is_wanted_stays_whole_and_a_store_without_any_goes(root: DataRoot[Path]) -> None:
    first, other = night(1, 1, 2, 3), night(1, 9, settings="b")
    make(root, first)
    make(root, other)
    make(root, night(2, 3))
    take(root)
    assert missing(decoded(root, first), [1, 2, 3]) == []
    assert not root.decode(other.key("decode")).exists()
    assert not root.bottleneck(other.key("bottleneck")).exists()


def test_where_a_manifest_cannot_be_read_the_rows_of_its_snapshot_stay(root: DataRoot[Path]) -> None:
    kept = night(2, 1, 2)
    make(root, night(1, 5))
    make(root, kept)
    manifest_path(decoded(root, kept).folder, kept.snapshot).write_text("{")
    take(root)
    assert missing(decoded(root, kept), [1, 2]) == []
    assert missing(decoded(root, kept), [5]) == [5]


def test_where_a_snapshot_cannot_be_read_either_the_whole_store_stays(root: DataRoot[Path]) -> None:
    kept = night(2, 1, 2)
    make(root, night(1, 5))
    make(root, kept)
    manifest_path(decoded(root, kept).folder, kept.snapshot).write_text("{")
    root.snapshot(kept.snapshot).write_text("damaged")
    take(root)
    assert missing(decoded(root, kept), [1, 2, 5]) == []


def test_a_comparison_stays_with_its_snapshot_and_pictures(root: DataRoot[Path]) -> None:
    compared = night(1, 1, 2, settings="b", until="decode")
    make(root, compared)
    told = record(root, "2026-03-01", snapshot=compared.snapshot, comparison="cafe")
    publish_json(root.below("compare", "runs", "flowers") / "2026-03-01-aaaaaaaa.json", told)
    make(root, night(2, 3))
    take(root)
    assert root.snapshot(compared.snapshot).exists()
    store = decoded(root, compared)
    assert read_manifest(manifest_path(store.folder, compared.snapshot)).photos == 2
    assert missing(store, [1, 2]) == []


@pytest.mark.parametrize("place", ["photos/a.jpg", "train/mine.keras", "decode/notes", "report/0123/a", "a.sqlite"])
def test_what_no_stage_wrote_is_named_and_left_alone(root: DataRoot[Path], place: str) -> None:
    make(root, night(1, 1))
    path = root.path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    left = {left.path for left in plan_collection(root, Policy(1)).left}
    assert left & {path, *path.parents} == left
    assert len(left) == 1
    take(root)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("stage", ["train", "decode"])
def test_what_lies_behind_a_link_is_left_alone(root: DataRoot[Path], stage: str) -> None:
    old = night(1, 1)
    make(root, old)
    make(root, night(2, 2))
    elsewhere = root.path.parent / "elsewhere"
    (root.path / stage).rename(elsewhere)
    (root.path / stage).symlink_to(elsewhere)
    take(root)
    assert (elsewhere / old.key(stage)).is_dir()
    assert not old.record(root).exists()


def test_what_was_given_to_a_run_is_left_alone(root: DataRoot[Path]) -> None:
    """Such as photos that another run had extracted, and a model of the user's in a stage's folder."""
    old = night(1, 1)
    make(root, old)
    model = root.train(old.key("train")) / "mine.keras"
    model.write_text("mine")
    for day in (2, 3):
        later = night(day, day)
        make(root, later)
        told = record(root, f"{later.date}", parameters={"backbone": str(model)}, snapshot=later.snapshot)
        made = {"stages": {name: stage(later.key(name), 0) for name in ("decode", "bottleneck", "evaluate")}}
        publish_json(later.record(root), {**told, **made, "head": later.key("train")})
    take(root)
    assert model.read_text() == "mine"


def test_a_comparison_s_or_a_run_s_damaged_record_is_refused_by_name(root: DataRoot[Path]) -> None:
    make(root, night(1, 1))
    make(root, night(2, 2))
    for path in (
        root.below("compare", "runs", "x") / "2026-03-01-aaaaaaaa.json",
        night(1, 1).record(root),
        root.champion("trees"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else None
        path.write_text("{}")
        with pytest.raises(StoreError, match=rf"Nothing is collected.*{path.name}.*Delete it"):
            take(root)
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    assert stays(root, night(1, 1))


def test_a_compaction_is_waited_for(root: DataRoot[Path]) -> None:
    """Else it would have rows in a shard that no manifest names yet."""
    script = """
import sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tasks.progress import NullProgress
from tasks.runs.retention.collect import collect
from tasks.runs.retention.live_set import Policy
print("ready", flush=True)
collect(DataRoot(Path(sys.argv[1])), Policy(1), NullProgress())
"""
    old = night(1, 1)
    make(root, old)
    make(root, night(2, 2))
    with lock_folder(decoded(root, old).folder), started(script, root.path) as process:
        assert read_line(process).startswith("Another process works in")
        assert old.record(root).exists()


def test_a_run_that_is_older_than_those_that_stay_keeps_its_own_record(
    root: DataRoot[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A date that is filled in later: Luigi looks for its record when it has ended."""
    for day in (3, 4, 1):
        make(root, night(day, day))
    collect_after_run(root, 1, night(1, 1).record(root))
    assert [stays(root, night(day, day)) for day in (1, 3, 4)] == [True, False, True]
    assert "Old runs  1 removed with what only they needed: " in capsys.readouterr().out


def test_after_a_run_what_was_set_aside_as_damaged_stays_to_be_looked_at(root: DataRoot[Path]) -> None:
    for day in (1, 2):
        make(root, night(day, day))
    aside = decoded(root, night(1, 1)).folder / "damaged" / "part-0.parquet"
    aside.parent.mkdir()
    aside.touch()
    collect_after_run(root, 1, night(2, 2).record(root))
    assert not stays(root, night(1, 1))
    assert aside.exists()
    take(root)
    assert not aside.exists()


def test_after_a_run_nothing_goes_while_another_night_is_under_way(
    root: DataRoot[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the same program too, whose workers share its lock on the data root; the own night is none of them."""
    for day in (1, 2):
        make(root, night(day, day))
    own = night(2, 2).record(root)
    root.storage.lock_until_exit(root.run_lock("flowers", dt.date(2026, 3, 2)), "the own night")
    with started(HOLD_NIGHT, root.run_lock("trees", dt.date(2026, 3, 2))):
        collect_after_run(root, 1, own)
    assert (
        capsys.readouterr().out == "Old runs  not removed: Other runs are under way: trees. The next run tries again.\n"
    )
    assert stays(root, night(1, 1))
    collect_after_run(root, 1, own)
    assert not stays(root, night(1, 1))


def test_after_a_run_an_error_is_told_and_the_night_stays_good(
    root: DataRoot[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2):
        make(root, night(day, day))
    night(1, 1).record(root).write_text("{")
    collect_after_run(root, 1, night(2, 2).record(root))
    assert "Old runs  not removed: Nothing is collected" in capsys.readouterr().out


@pytest.fixture
def far(object_store: ObjectStore) -> DataRoot:
    """An empty data root on an object store, with two nights."""
    root: DataRoot = DataRoot(to_path(object_store.url("data")))
    for day in (1, 2):
        make(root, night(day, day))
    return root


def test_after_a_run_on_a_store_nothing_goes_while_another_night_is_under_way(
    far: DataRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    own = night(2, 2).record(far)
    far.storage.lock_until_exit(far.run_lock("flowers", dt.date(2026, 3, 2)), "the own night")
    with started(HOLD_NIGHT, far.run_lock("trees", dt.date(2026, 3, 2))):
        collect_after_run(far, 1, own)
    assert "Other runs are under way: trees." in capsys.readouterr().out
    assert stays(far, night(1, 1))
    collect_after_run(far, 1, own)
    assert "Old runs  1 removed with what only they needed: " in capsys.readouterr().out
    assert not stays(far, night(1, 1))
    assert stays(far, night(2, 2))
    runs = far.below("runs")
    assert is_remote(runs)
    locks = [found.path for found in objects_below(runs) if "/.2026" in found.path]
    assert locks == ["flowers/.2026-03-02.lock/0000000001"], "what a night that has ended leaves goes too"


def test_after_a_run_on_a_store_a_night_that_died_on_another_machine_holds_nothing_back(
    far: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRED", 0.5)
    dead = {"machine": "another", "process": 1, "started": "0", "beat": 7, "released": False}
    publish_json(far.run_lock("trees", dt.date(2026, 3, 1)) / "0000000001", dead)
    # Stores tell whole seconds.
    time.sleep(2)
    collect_after_run(far, 1, night(2, 2).record(far))
    assert not stays(far, night(1, 1))


def test_what_was_given_to_a_run_is_left_alone_on_a_store(far: DataRoot) -> None:
    model = far.train(night(1, 1).key("train")) / "mine.keras"
    publish_bytes(model, b"mine")
    record_of = night(2, 2).record(far)
    publish_json(record_of, {**read_json(record_of), "parameters": {"backbone": str(model)}})
    left = {left.path: left.why for left in plan_collection(far, Policy(1)).left}
    assert left == {model.parent: "given to a run"}
    take(far)
    assert model.read_bytes() == b"mine"
