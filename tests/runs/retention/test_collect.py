"""Garbage collection: outputs that stay, outputs that go, and files that are never touched."""

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.champion.champion_file import publish_champion, read_champion
from tasks.drift.spec import STATISTICS_FILE
from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.progress import NullProgress
from tasks.runs.retention.collect import collect, collect_after_run
from tasks.runs.retention.garbage import plan_collection
from tasks.runs.retention.live_set import Policy
from tasks.shards.manifests import read_manifest
from tasks.storage import leases
from tasks.storage.files import lock_folder, publish_bytes, publish_json, read_json
from tasks.storage.layout import DataRoot, manifest_path
from tests.storage.processes import HOLDER, started
from tests.support.data_root import record
from tests.support.fake_runs import FakeRun, decoded, embedded, make, missing, rejected, stores
from tests.support.processes import read_line


@pytest.fixture
def two(folder: AnyPath) -> DataRoot:
    """A data root with two runs, on a disk or on an object store."""
    root: DataRoot = DataRoot(folder / "data")
    make_all(root, [run(1, 1), run(2, 2)])
    return root


def run(day: int, *photos: int, **changes: object) -> FakeRun:
    return replace(FakeRun("flowers", dt.date(2026, 3, day), frozenset(photos)), **changes)  # type: ignore[arg-type]


def make_all(root: DataRoot, runs: Iterable[FakeRun]) -> None:
    for each in runs:
        make(root, each)


def take(root: DataRoot, runs: int = 1, **policy: object) -> None:
    collect(root, Policy(runs, **policy), NullProgress())  # type: ignore[arg-type]


def stays(root: DataRoot, of: FakeRun) -> bool:
    """Whether a run is there, which is whole then."""
    there = of.record(root).exists()
    lacking = [photo for store in stores(root, of) for photo in missing(store, of.good)]
    folders = [root.path / stage / of.key(stage) for stage in ("train", "evaluate", "predict", "report")]
    assert not there or (lacking == [] and all(folder.exists() for folder in folders))
    return there


FLOWERS, TREES = ([run(day, day, day + 1, dataset=name) for day in (1, 2, 3)] for name in ("flowers", "trees"))


@pytest.mark.parametrize(
    ("made", "policy", "staying"),
    [
        ([*FLOWERS, *TREES], {"runs": 2}, [*FLOWERS[1:], *TREES[1:]]),
        ([*FLOWERS, *TREES], {"datasets": ("trees",)}, [*FLOWERS, TREES[2]]),
        ([FLOWERS[0], crowned := run(2, 2, crowned=True), FLOWERS[2]], {}, [crowned, FLOWERS[2]]),
    ],
    ids=["the newest of each dataset", "all of datasets that are not named", "that of the champion"],
)
def test_runs_stay(
    root: DataRoot[Path], made: list[FakeRun], policy: Mapping[str, Any], staying: list[FakeRun]
) -> None:
    make_all(root, made)
    take(root, **policy)
    assert [each for each in made if stays(root, each)] == staying


def test_all_stores_of_a_run_with_two_backbones_stay_and_go_with_it(root: DataRoot[Path]) -> None:
    joined, alone = run(1, 1, 2, joined=True), run(2, 3)
    make_all(root, [joined, alone])
    take(root, 2)
    assert stays(root, joined)
    take(root)
    assert not stays(root, joined)
    assert [store.folder.exists() for store in stores(root, joined)] == [True, True, False, False]


@pytest.mark.parametrize("joined", [False, True])
def test_photos_that_the_champion_was_asked_of_stay(root: DataRoot[Path], *, joined: bool) -> None:
    """A manifest that nobody refers to goes, and its shards stay: they have rows of later runs."""
    crowned = run(1, 1, settings="b", joined=joined, crowned=True)
    predicted = run(2, 2, 3, dataset="trees", settings="b", joined=joined, until="bottleneck")
    make_all(root, [crowned, run(2, 2, 3), predicted])
    (root.snapshots("trees") / "2026-03-02.json").unlink()
    take(root)
    for store in stores(root, crowned):
        assert missing(store, [1, 2, 3]) == []
        assert not manifest_path(store.folder, run(2, 2, 3).snapshot).exists()


def test_models_that_the_champion_can_be_rolled_back_to_stay_with_their_evaluations(root: DataRoot[Path]) -> None:
    runs = [run(day, day, crowned=day == 3) for day in (1, 2, 3, 4)]
    make_all(root, runs)
    champion = read_champion(root.champion("flowers"))
    assert champion is not None
    former = replace(
        champion,
        model=runs[0].key("train"),
        evaluation=runs[0].key("evaluate"),
        snapshot=runs[0].snapshot,
        decided=runs[0].key("champion"),
    )
    publish_champion(root.champion("flowers"), "flowers", replace(champion, former=(former,)))
    take(root)
    assert [each for each in runs if stays(root, each)] == runs[2:]
    assert root.train(runs[0].key("train")).exists()
    assert root.evaluate(runs[0].key("evaluate")).exists()
    assert not root.train(runs[1].key("train")).exists()


def test_versions_for_model_servers_stay(root: DataRoot[Path]) -> None:
    make_all(root, [run(1, 1), run(2, 2)])
    publish_bytes(root.serving("flowers") / "1" / "saved_model.pb", b"model")
    root.storage.put_pointer(root.serving("flowers") / "current", "1")
    take(root)
    assert (root.serving("flowers") / "current" / "saved_model.pb").read_bytes() == b"model"
    assert not [left for left in plan_collection(root, Policy(1)).left if "serving" in str(left.path)]


def test_statistics_of_a_dataset_go_with_its_last_run(root: DataRoot[Path]) -> None:
    make_all(root, [run(1, 1), run(1, 1, dataset="trees", until="train")])
    places = [root.statistics, lambda name: root.below("drift", name, STATISTICS_FILE)]
    take(root)
    assert all(place("trees").exists() for place in places)
    (root.snapshots("trees") / "2026-03-01.json").unlink()
    take(root)
    assert [[place(name).exists() for place in places] for name in ("flowers", "trees")] == [[True] * 2, [False] * 2]


def test_comparisons_of_new_photos_go_with_their_runs(root: DataRoot[Path]) -> None:
    runs = [run(1, 1), run(2, 2)]
    make_all(root, runs)
    take(root)
    (comparison,) = root.below("drift", "flowers").glob("*.json")
    assert comparison.stem == runs[1].key("drift")


def test_a_newest_run_that_came_to_no_record_keeps_what_it_has(root: DataRoot[Path]) -> None:
    make(root, run(1, 1, 2))
    late = run(2, 2, 3, 4, until="evaluate")
    make(root, late)
    manifest_path(embedded(root, late).folder, late.snapshot).unlink()
    take(root)
    assert missing(decoded(root, late), [2, 3, 4]) == missing(embedded(root, late), [2, 3, 4]) == []
    assert root.snapshot(late.snapshot).exists()
    assert (root.train(late.key("train")) / "checkpoints").exists()
    make(root, run(3, 1))
    take(root)
    assert not root.train(late.key("train")).exists()
    assert missing(decoded(root, late), [3, 4]) == [3, 4]


def test_rows_of_rejected_photos_stay_whatever_the_shard(root: DataRoot[Path]) -> None:
    bad = run(1, 1, 7, rejected=frozenset({7}))
    make_all(root, [bad, run(2, 1, 7, 8, rejected=frozenset({7, 8}))])
    take(root)
    assert missing(rejected(root, bad), [7, 8]) == []
    make(root, run(3, 1, 8, rejected=frozenset({8})))
    take(root)
    assert missing(rejected(root, bad), [7, 8]) == [7]


def test_a_shard_of_which_one_row_is_wanted_stays_whole_and_a_store_without_any_goes(root: DataRoot[Path]) -> None:
    first, other = run(1, 1, 2, 3), run(1, 9, settings="b")
    make_all(root, [first, other, run(2, 3)])
    take(root)
    assert missing(decoded(root, first), [1, 2, 3]) == []
    assert not root.decode(other.key("decode")).exists()
    assert not root.bottleneck(other.key("bottleneck")).exists()


@pytest.mark.parametrize("snapshot_is_damaged", [False, True])
def test_where_a_manifest_cannot_be_read_the_rows_of_its_snapshot_stay_or_the_whole_store(
    root: DataRoot[Path], snapshot_is_damaged: bool
) -> None:
    kept = run(2, 1, 2)
    make_all(root, [run(1, 5), kept])
    manifest_path(decoded(root, kept).folder, kept.snapshot).write_text("{")
    if snapshot_is_damaged:
        root.snapshot(kept.snapshot).write_text("damaged")
    take(root)
    assert missing(decoded(root, kept), [1, 2, 5]) == ([] if snapshot_is_damaged else [5])


def test_a_comparison_stays_with_its_snapshot_and_pictures(root: DataRoot[Path]) -> None:
    compared = run(1, 1, 2, settings="b", until="decode")
    make(root, compared)
    told = record(root, "2026-03-01", snapshot=compared.snapshot, comparison="cafe")
    publish_json(root.below("compare", "runs", "flowers") / "2026-03-01-aaaaaaaa.json", told)
    make(root, run(2, 3))
    take(root)
    assert root.snapshot(compared.snapshot).exists()
    store = decoded(root, compared)
    assert read_manifest(manifest_path(store.folder, compared.snapshot)).photos == 2
    assert missing(store, [1, 2]) == []


@pytest.mark.parametrize("place", ["photos/a.jpg", "train/mine.keras", "decode/notes", "report/0123/a", "a.sqlite"])
def test_what_no_stage_wrote_is_named_and_left_alone(root: DataRoot[Path], place: str) -> None:
    make(root, run(1, 1))
    path = root.path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    left = {left.path for left in plan_collection(root, Policy(1)).left}
    assert left & {path, *path.parents} == left
    assert len(left) == 1
    take(root)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("stage", ["train", "decode"])
def test_what_lies_behind_a_link_is_left_alone(
    root: DataRoot[Path], tmp_path_factory: pytest.TempPathFactory, stage: str
) -> None:
    old = run(1, 1)
    make_all(root, [old, run(2, 2)])
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (root.path / stage).rename(elsewhere)
    (root.path / stage).symlink_to(elsewhere)
    take(root)
    assert (elsewhere / old.key(stage)).is_dir()
    assert not old.record(root).exists()


def test_a_model_of_the_user_in_a_stage_s_folder_is_left_alone(two: DataRoot) -> None:
    model = two.train(run(1, 1).key("train")) / "mine.keras"
    publish_bytes(model, b"mine")
    record_of = run(2, 2).record(two)
    publish_json(record_of, {**read_json(record_of), "parameters": {"backbone": str(model)}})
    assert {left.path: left.why for left in plan_collection(two, Policy(1)).left} == {model.parent: "given to a run"}
    take(two)
    assert model.read_bytes() == b"mine"


def test_a_comparison_s_or_a_run_s_damaged_record_is_refused_by_name(root: DataRoot[Path]) -> None:
    make_all(root, [run(1, 1), run(2, 2)])
    for path in (
        root.below("compare", "runs", "x") / "2026-03-01-aaaaaaaa.json",
        run(1, 1).record(root),
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
    assert stays(root, run(1, 1))


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
    old = run(1, 1)
    make_all(root, [old, run(2, 2)])
    with lock_folder(decoded(root, old).folder), started(script, root.path) as process:
        assert read_line(process).startswith("Another process works in")
        assert old.record(root).exists()


def test_a_run_that_is_older_than_those_that_stay_keeps_its_own_record(
    root: DataRoot[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A date that is filled in later: Luigi looks for its record when it has ended."""
    make_all(root, [run(day, day) for day in (3, 4, 1)])
    collect_after_run(root, 1, run(1, 1).record(root))
    assert [stays(root, run(day, day)) for day in (1, 3, 4)] == [True, False, True]
    assert "Old runs  1 removed with what only they needed: " in capsys.readouterr().out


def test_after_a_run_what_was_set_aside_as_damaged_stays_to_be_looked_at(root: DataRoot[Path]) -> None:
    make_all(root, [run(1, 1), run(2, 2)])
    aside = decoded(root, run(1, 1)).folder / "damaged" / "part-0.parquet"
    aside.parent.mkdir()
    aside.touch()
    collect_after_run(root, 1, run(2, 2).record(root))
    assert not stays(root, run(1, 1))
    assert aside.exists()
    take(root)
    assert not aside.exists()


def test_after_a_run_nothing_goes_while_another_run_is_under_way(
    two: DataRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers of the same program share its lock on the data root; the lock of the own run holds nothing back."""
    own = run(2, 2).record(two)
    two.storage.lock_until_exit(two.run_lock("flowers", dt.date(2026, 3, 2)), "the own run")
    with started(HOLDER, two.run_lock("trees", dt.date(2026, 3, 2))):
        collect_after_run(two, 1, own)
    told = "Old runs  not removed: Other runs are under way: trees. The next run tries again.\n"
    assert capsys.readouterr().out == told
    assert stays(two, run(1, 1))
    collect_after_run(two, 1, own)
    assert "Old runs  1 removed with what only they needed: " in capsys.readouterr().out
    assert [stays(two, run(day, day)) for day in (1, 2)] == [False, True]
    locks = {found.path.partition("/")[0] for found in two.storage.files_below(two.below("runs")) if "/." in found.path}
    assert locks == {"flowers"}, "those of runs that have ended go too"


def test_after_a_run_an_error_is_told_and_the_run_stays_good(
    root: DataRoot[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make_all(root, [run(1, 1), run(2, 2)])
    run(1, 1).record(root).write_text("{")
    collect_after_run(root, 1, run(2, 2).record(root))
    assert "Old runs  not removed: Nothing is collected" in capsys.readouterr().out


def test_after_a_run_a_run_that_died_on_another_machine_holds_nothing_back(
    far: AnyPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    root: DataRoot = DataRoot(far)
    make_all(root, [run(1, 1), run(2, 2)])
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 0.5)
    dead = {"machine": "another", "process": 1, "started": "0", "beat": 7, "released": False}
    publish_json(root.run_lock("trees", dt.date(2026, 3, 1)) / "0000000001", dead)
    # Stores tell whole seconds.
    time.sleep(2)
    collect_after_run(root, 1, run(2, 2).record(root))
    assert not stays(root, run(1, 1))
