"""`python -m pipeline forget`: what goes, what never goes, and that the next run makes it again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from pipeline.retrain import RetrainFlowers
from tasks.storage.locks import lock_folder
from tests.pipeline.command import Project, draw
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import decode
from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

DATE = Trained.DATE


@pytest.fixture
def project(same_photos: Project) -> Project:
    """A real run, with a data root of its own."""
    return same_photos


def words(project: Project, stage: str, *extra: str) -> list[str]:
    given = project.options({"date": DATE})
    return ["forget", stage, *(f"--{name}={value}" for name, value in given.items()), *extra]


def forget(project: Project, stage: str, *extra: str) -> Result:
    """Call the command in this process, in which nobody can be asked."""
    return CliRunner().invoke(app, words(project, stage, *extra))


def listing(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def folder_of(project: Project, stage: str) -> Path:
    (folder,) = (project.root / stage).iterdir()
    return folder


def test_the_next_run_makes_again_what_was_forgotten_and_nothing_else(project: Project) -> None:
    """Also what was forgotten in the middle, while what stands on it stayed."""
    photos = {path: path.read_bytes() for path in project.photos.rglob("*.jpg")}
    before = listing(project.root)
    assert forget(project, "train", "--downstream", "--yes").exit_code == 0
    gone = before - listing(project.root)
    assert {path.parts[0] for path in gone} == {"train", "evaluate", "champion", "report", "runs"}
    assert forget(project, "decode", "--yes").exit_code == 0
    assert not any((project.root / "decode").iterdir())
    assert (folder_of(project, "bottleneck") / "manifests").is_dir()
    again = project.retrain_forked(date=DATE)
    assert again.code == 0, again.errors
    new = project.new(DATE)
    assert (new["backbone"], new["snapshot"], new["decode"], new["bottleneck"]) == (0, 0, Trained.PHOTOS, 0)
    assert new["train"] > 0
    # The report's key holds the decision, which holds nothing that changed.
    assert listing(project.root) == before
    assert {path: path.read_bytes() for path in project.photos.rglob("*.jpg")} == photos


def test_a_dry_run_lists_and_removes_nothing(project: Project) -> None:
    before = listing(project.root)
    done = forget(project, "bottleneck", "--downstream", "--dry-run")
    assert done.exit_code == 0
    stages = [line.split()[0] for line in done.stdout.splitlines()[2:]]
    assert stages == ["record", "report", "champion", "champion", "evaluate", "train", "bottleneck"]
    assert str(folder_of(project, "bottleneck")) in done.stdout
    assert listing(project.root) == before


def test_where_nobody_can_be_asked_nothing_is_removed(project: Project) -> None:
    before = listing(project.root)
    done = forget(project, "evaluate")
    assert done.exit_code == 1
    assert done.stderr.startswith("Nothing was removed: nobody can be asked here.")
    assert listing(project.root) == before


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True)])
def test_on_a_terminal_it_asks(project: Project, answer: str, left: bool) -> None:
    # `script` of util-linux gives the command a terminal.
    command = " ".join([sys.executable, "-m", "pipeline", *words(project, "evaluate")])
    subprocess.run(
        ["script", "-qec", command, "/dev/null"],  # noqa: S607 (the system's)
        cwd=REPOSITORY,
        input=f"{answer}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert (project.root / "evaluate").exists()
    assert any((project.root / "evaluate").iterdir()) is left


def test_the_list_says_which_other_snapshots_use_a_store(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "others", project.root)
    draw(other.photos, range(12))
    decode(other)
    done = forget(project, "decode", "--dry-run")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("decode")]
    (pointer,) = (project.root / "snapshot").glob("others-*/*.json")
    assert f"also used by {json.loads(pointer.read_text())['key']}" in line


def test_a_snapshot_that_another_date_has_too_stays(project: Project) -> None:
    (pointer,) = (project.root / "snapshot").glob(f"*/{DATE}.json")
    shutil.copy(pointer, pointer.with_name("2026-02-28.json"))
    (table,) = (project.root / "snapshot").glob("*.parquet")
    assert forget(project, "snapshot", "--yes").exit_code == 0
    assert not pointer.exists()
    assert table.exists()


def test_a_champion_is_refused_until_the_champion_is_forgotten(project: Project) -> None:
    head = folder_of(project, "train")
    done = forget(project, "train", "--yes")
    assert done.exit_code == 1
    assert f"The model {head.name} is the champion of " in done.stderr
    assert (head / "manifest.json").exists()
    assert forget(project, "champion", "--yes").exit_code == 0
    assert not list((project.root / "champion").glob("*.json"))
    assert forget(project, "train", "--yes").exit_code == 0
    assert not head.exists()


def test_another_model_s_championship_is_not_forgotten(project: Project) -> None:
    (state,) = (project.root / "champion").glob("*.json")
    state.write_text(json.dumps({"champion": "0" * 16}))
    assert forget(project, "train", "--downstream", "--yes").exit_code == 0
    assert state.exists()


def test_a_training_that_runs_is_refused(project: Project) -> None:
    head = folder_of(project, "train")
    with lock_folder(head):
        done = forget(project, "train", "--downstream", "--yes")
    assert done.exit_code == 1
    assert f"A process works in {head}." in done.stderr
    assert (project.root / "evaluate").exists(), "nothing is removed before all was looked at"


def test_a_folder_behind_a_link_is_untouched(project: Project, tmp_path: Path) -> None:
    shutil.move(project.root / "decode", tmp_path / "elsewhere")
    (project.root / "decode").symlink_to(tmp_path / "elsewhere")
    before = listing(tmp_path / "elsewhere")
    done = forget(project, "decode", "--yes")
    assert done.exit_code == 1
    assert "lies behind one, so it is left alone" in done.stderr
    assert listing(tmp_path / "elsewhere") == before


def test_photos_of_the_user_inside_a_stage_s_folder_are_untouched(project: Project) -> None:
    photos = folder_of(project, "decode") / "my photos"
    shutil.copytree(project.photos, photos)
    mine = Project(photos, project.root)
    assert decode(mine)
    done = CliRunner().invoke(app, [word for word in words(mine, "decode", "--yes") if "--date" not in word])
    assert done.exit_code == 1
    assert "which you gave to the run, so it is left alone" in done.stderr
    assert len(list(photos.rglob("*.jpg"))) == Trained.PHOTOS


def test_a_stage_that_the_run_has_not_is_an_error_of_usage(project: Project) -> None:
    for stage in ("download", "trian"):
        done = forget(project, stage, "--yes")
        assert done.exit_code == 2
        assert f"'{stage}' is no stage of this run, which has backbone, snapshot," in " ".join(done.stderr.split())


def test_a_download_is_forgotten_and_what_stands_on_it_stays(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    given = project.options({"dataset": "sample", "sample-photos": "15"})
    options = [f"--{name}={value}" for name, value in given.items()]
    run: RetrainFlowers = RetrainFlowers.from_str_params(
        {name.replace("-", "_"): value for name, value in given.items()}
    )
    snapshot = run.take_snapshot()
    download = snapshot.requires()
    assert download is not None
    for task in (*run.prepare_backbones(), download, snapshot):
        task.run()
    done = CliRunner().invoke(app, ["forget", "download", *options, "--yes"])
    assert done.exit_code == 0, done.output
    assert not any((project.root / "download").iterdir())
    assert snapshot.is_published()
    told = json.loads(CliRunner().invoke(app, ["status", *options, "--json"]).stdout)
    steps = {step["stage"]: (step["state"], step["note"]) for step in told["stages"]}
    assert (steps["download"], steps["snapshot"]) == (("to do", ""), ("done", ""))
    assert steps["train"] == ("blocked", "waits for the download")


def test_what_is_not_there_is_no_harm_and_what_is_not_known_is_told(project: Project) -> None:
    assert forget(project, "report", "--yes").exit_code == 0
    assert forget(project, "report", "--yes").stdout.startswith("Nothing to remove")
    assert forget(project, "backbone", "--yes").exit_code == 0
    done = forget(project, "decode", "--yes")
    assert done.exit_code == 1
    assert "What the stage decode keeps for these parameters is not known" in done.stderr
