"""`python -m pipeline gc`, and --keep-runs of a night: old runs go, and what stays lacks nothing."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tests.pipeline.command import LITTLE, Finished, Project, draw
from tests.pipeline.first_stages import small_backbone
from tests.storage.processes import started
from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

#: Holds a data root as a run does until it is told to end.
HOLD = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_shared
lock_shared(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""
#: The real verb, which dies at the so-manieth file or folder that it renames or removes.
DIE = """
import itertools, os, signal, sys
from pipeline.cli.app import app

stop, count = int(sys.argv.pop(1)), itertools.count()

def hook(event, _):
    if event in ("os.rename", "os.remove", "os.rmdir") and next(count) == stop:
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
app()
"""


def retrain(project: Project, **options: str) -> Finished:
    """Do a night in a process that is gone afterwards, and no run under way with it."""
    return project.retrain_forked(**small_backbone(project.photos.parent), **LITTLE, **options)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two nights that stay and a third that kept two runs; tests work on copies of its data root."""
    folder = tmp_path_factory.mktemp("gc")
    project = Project(folder / "photos", folder / "data")
    for night, photos in enumerate((range(24), range(24, 30), range(30, 33)), 1):
        draw(project.photos, photos)
        options = {"keep_runs": "2"} if night == 3 else {}
        done = retrain(project, date=f"2026-03-0{night}", **options)
        assert done.code == 0, done.errors
    assert "Old runs  1 removed with what only they needed" in done.output
    return project


@pytest.fixture
def project(nights: Project, tmp_path: Path) -> Project:
    """The same photos, and a data root of its own."""
    shutil.copytree(nights.root, tmp_path / "data")
    return Project(nights.photos, tmp_path / "data")


def words(project: Project, *extra: str) -> list[str]:
    return ["gc", "--data-root", str(project.root), *extra]


def gc(project: Project, *extra: str) -> Result:
    """Call the command in this process, in which nobody can be asked."""
    return CliRunner().invoke(app, words(project, *extra))


def listing(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def dates(project: Project) -> list[str]:
    return sorted(path.name[:10] for path in project.root.glob("runs/*/*.json"))


def test_a_night_with_keep_runs_removes_older_ones_and_what_only_they_needed(nights: Project) -> None:
    assert dates(nights) == ["2026-03-02", "2026-03-03"]
    kept = [nights.record(date) for date in dates(nights)]
    assert {path.name for path in (nights.root / "train").iterdir()} == {record["head"] for record in kept}
    assert {path.stem for path in (nights.root / "snapshot").glob("*.parquet")} == {r["snapshot"] for r in kept}
    page = (nights.root / "index.html").read_text()
    assert [date in page for date in ("2026-03-01", "2026-03-02", "2026-03-03")] == [False, True, True]


def test_after_it_the_last_night_has_nothing_to_do_and_the_next_one_computes_nothing_anew(project: Project) -> None:
    done = gc(project, "--keep-runs", "1", "--yes")
    assert done.exit_code == 0, done.output
    assert dates(project) == ["2026-03-03"]
    assert Path(project.root / "report" / project.record("2026-03-03")["stages"]["report"]["key"]).is_dir()
    before = listing(project.root)
    again = retrain(project, date="2026-03-03")
    assert (again.code, again.output.startswith("Nothing to do")) == (0, True)
    assert listing(project.root) == before
    assert retrain(project, date="2026-03-04").code == 0
    new = project.new("2026-03-04")
    assert [new[stage] for stage in ("backbone", "decode", "bottleneck", "train", "evaluate")] == [0] * 5


def test_a_dry_run_lists_and_removes_nothing(project: Project) -> None:
    before = listing(project.root)
    done = gc(project, "--keep-runs", "1", "--dry-run")
    assert done.exit_code == 0
    assert done.output.startswith("To be removed: ")
    assert "2026-03-02" in done.output
    assert listing(project.root) == before


def test_without_anybody_to_ask_nothing_is_removed(project: Project) -> None:
    before = listing(project.root)
    done = gc(project, "--keep-runs", "1")
    assert done.exit_code == 1
    assert "Say --yes" in done.output
    assert listing(project.root) == before


def test_json_names_every_path_and_removes_them_with_yes_alone(project: Project) -> None:
    told = json.loads(gc(project, "--keep-runs", "1", "--json").output)
    assert told["removed"] is False
    assert {piece["stage"] for piece in told["pieces"]} >= {"record", "report", "train", "decode", "bottleneck"}
    assert all(Path(piece["path"]).exists() for piece in told["pieces"])
    done = json.loads(gc(project, "--keep-runs", "1", "--json", "--yes").output)
    assert (done["removed"], done["files"], done["bytes"]) == (True, told["files"], told["bytes"])
    assert not any(Path(piece["path"]).exists() for piece in told["pieces"])


def test_what_all_is_needed_stays(project: Project) -> None:
    before = listing(project.root)
    done = gc(project, "--yes")
    assert (done.exit_code, done.output.startswith("Nothing to remove: 2 runs stay")) == (0, True)
    assert listing(project.root) == before


def test_while_a_run_is_under_way_nothing_is_removed(project: Project) -> None:
    before = listing(project.root)
    with started(HOLD, project.root):
        done = gc(project, "--keep-runs", "1", "--yes")
    assert done.exit_code == 1
    assert "A run is under way" in done.output
    assert listing(project.root) == before


def test_a_record_that_cannot_be_read_is_named_and_nothing_is_removed(project: Project) -> None:
    (record,) = project.root.glob("runs/*/2026-03-02-*.json")
    record.write_text("{")
    before = listing(project.root)
    done = gc(project, "--keep-runs", "1", "--yes")
    assert done.exit_code == 1
    assert f"{record} is damaged" in done.output
    assert "Delete it" in done.output
    assert listing(project.root) == before


@pytest.mark.parametrize("step", [1, 4, 20])
def test_killed_anywhere_the_last_night_is_whole_and_the_next_one_ends_it(project: Project, step: int) -> None:
    expected = Project(project.photos, project.root.parent / "other")
    shutil.copytree(project.root, expected.root)
    assert gc(expected, "--keep-runs", "1", "--yes").exit_code == 0
    command = [sys.executable, "-c", DIE, str(step), *words(project, "--keep-runs", "1", "--yes")]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False, timeout=TIMEOUT)
    assert killed.returncode == -signal.SIGKILL
    # Its record goes first, so that no run is ever there by half.
    assert dates(project) == ["2026-03-03"]
    assert listing(project.root) >= listing(expected.root)
    done = gc(project, "--keep-runs", "1", "--yes")
    assert done.exit_code == 0, done.output
    assert listing(project.root) == listing(expected.root)
