"""`python -m pipeline forget`: what it removes, what it refuses to remove, and that the next run makes it again."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tasks.storage.files import lock_folder
from tests.pipeline.command import Finished, Project, assert_error, draw, listing, option_words, verb
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import decode, run_of
from tests.support.processes import TIMEOUT, running

DATE = Trained.DATE


@pytest.fixture
def project(same_photos: Project) -> Project:
    return same_photos


def words(project: Project, stage: str, *extra: str) -> list[str]:
    return ["forget", stage, *option_words(project.options(date=DATE)), *extra]


def forget(project: Project, stage: str, *extra: str) -> Finished:
    return verb(*words(project, stage, *extra))


def folder_of(project: Project, stage: str) -> Path:
    (folder,) = (project.root / stage).iterdir()
    return folder


@pytest.mark.slow
def test_the_next_run_makes_again_what_was_forgotten_and_nothing_else(project: Project) -> None:
    """Also a stage in the middle, while the stages after it stayed."""
    photos = {path: path.read_bytes() for path in project.photos.rglob("*.jpg")}
    before = listing(project.root)
    forget(project, "train", "--downstream", "--yes").check()
    gone = before - listing(project.root)
    assert {path.parts[0] for path in gone} == {"train", "evaluate", "champion", "serving", "report", "runs"}
    forget(project, "decode", "--yes").check()
    assert not any((project.root / "decode").iterdir())
    assert (folder_of(project, "bottleneck") / "manifests").is_dir()
    project.retrain_forked(date=DATE).check()
    new = project.new(DATE)
    assert (new["backbone"], new["snapshot"], new["decode"], new["bottleneck"]) == (0, 0, Trained.PHOTOS, 0)
    assert new["train"] > 0
    # The report's key holds the decision, which holds nothing that changed.
    assert listing(project.root) == before
    assert {path: path.read_bytes() for path in project.photos.rglob("*.jpg")} == photos


def test_a_dry_run_lists_and_removes_nothing(project: Project) -> None:
    before = listing(project.root)
    done = forget(project, "bottleneck", "--downstream", "--dry-run")
    assert done.code == 0
    stages = [line.split()[0] for line in done.output.splitlines()[2:]]
    later = ["record", "report", "serving", "champion", "champion", "evaluate", "train"]
    assert stages == [*later, "drift", "drift", "bottleneck"]
    assert str(folder_of(project, "bottleneck")) in done.output
    assert listing(project.root) == before


def test_without_a_terminal_nothing_is_removed(project: Project) -> None:
    before = listing(project.root)
    assert_error(forget(project, "evaluate"), 1, "Nothing was removed: nobody can be asked here.")
    assert listing(project.root) == before


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True)])
def test_on_a_terminal_it_asks(project: Project, answer: str, left: bool) -> None:
    # `script` of util-linux gives the command a terminal.
    command = " ".join([sys.executable, "-m", "pipeline", *words(project, "evaluate")])
    with running(["script", "-qec", command, "/dev/null"]) as process:
        process.communicate(f"{answer}\n", timeout=TIMEOUT)
    assert any((project.root / "evaluate").iterdir()) is left


def test_the_list_says_which_other_snapshots_use_a_store(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "others", project.root)
    draw(other.photos, range(12))
    decode(other)
    done = forget(project, "decode", "--dry-run")
    (line,) = [line for line in done.output.splitlines() if line.startswith("decode")]
    (pointer,) = (project.root / "snapshot").glob("others-*/*.json")
    assert f"also used by {json.loads(pointer.read_text())['key']}" in line


def test_a_snapshot_that_another_date_has_too_stays(project: Project) -> None:
    (pointer,) = (project.root / "snapshot").glob(f"*/{DATE}.json")
    shutil.copy(pointer, pointer.with_name("2026-02-28.json"))
    (table,) = (project.root / "snapshot").glob("*.parquet")
    forget(project, "snapshot", "--yes").check()
    assert not pointer.exists()
    assert table.exists()


def test_a_champion_is_refused_until_the_champion_is_forgotten(project: Project) -> None:
    head = folder_of(project, "train")
    assert_error(forget(project, "train", "--yes"), 1, f"The model {head.name} is the champion of ")
    assert (head / "manifest.json").exists()
    forget(project, "champion", "--yes").check()
    assert not list((project.root / "champion").glob("*.json"))
    forget(project, "train", "--yes").check()
    assert not head.exists()


def test_another_model_s_championship_is_not_forgotten(project: Project) -> None:
    (state,) = (project.root / "champion").glob("*.json")
    state.write_text(json.dumps({"champion": "0" * 16}))
    forget(project, "train", "--downstream", "--yes").check()
    assert state.exists()


def test_a_training_that_runs_is_refused(project: Project) -> None:
    head = folder_of(project, "train")
    with lock_folder(head):
        done = forget(project, "train", "--downstream", "--yes")
    assert_error(done, 1, f"A process works in {head}.")
    assert (project.root / "evaluate").exists(), "nothing is removed before everything is checked"


def test_a_folder_behind_a_link_is_untouched(project: Project, tmp_path: Path) -> None:
    shutil.move(project.root / "decode", tmp_path / "elsewhere")
    (project.root / "decode").symlink_to(tmp_path / "elsewhere")
    before = listing(tmp_path / "elsewhere")
    assert_error(forget(project, "decode", "--yes"), 1, "lies behind one, so it is left alone")
    assert listing(tmp_path / "elsewhere") == before


def test_photos_of_the_user_inside_a_stage_s_folder_are_untouched(project: Project) -> None:
    photos = folder_of(project, "decode") / "my photos"
    shutil.copytree(project.photos, photos)
    mine = Project(photos, project.root)
    assert decode(mine)
    done = verb(*[word for word in words(mine, "decode", "--yes") if "--date" not in word])
    assert_error(done, 1, "which you gave to the run, so it is left alone")
    assert len(list(photos.rglob("*.jpg"))) == Trained.PHOTOS


def test_a_stage_that_the_run_does_not_have_is_an_error_of_usage(project: Project) -> None:
    for stage in ("download", "trian"):
        sentence = f"'{stage}' is no stage of this run, which has backbone, snapshot,"
        assert_error(forget(project, stage, "--yes"), 2, sentence)


def test_a_download_is_forgotten_and_the_stages_after_it_stay(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    given = project.options(dataset="sample", sample_photos="15")
    run = run_of(project, **given)
    snapshot = run.take_snapshot()
    download = snapshot.requires()
    assert download is not None
    for task in (*run.prepare_backbones(), download, snapshot):
        task.run()
    verb("forget", "download", *option_words(given), "--yes").check()
    assert not any((project.root / "download").iterdir())
    assert snapshot.is_published()
    status = json.loads(verb("status", *option_words(given), "--json").output)
    steps = {step["stage"]: (step["state"], step["note"]) for step in status["stages"]}
    assert (steps["download"], steps["snapshot"]) == (("to do", ""), ("done", ""))
    assert steps["train"] == ("blocked", "waits for the download")


def test_a_missing_output_is_no_error_and_unknown_ones_are(project: Project) -> None:
    forget(project, "report", "--yes").check()
    assert forget(project, "report", "--yes").output.startswith("Nothing to remove")
    forget(project, "backbone", "--yes").check()
    unknown = "The outputs of the stage decode for these parameters are not known"
    assert_error(forget(project, "decode", "--yes"), 1, unknown)
