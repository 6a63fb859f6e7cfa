"""`python -m pipeline gc` and --keep-runs: old runs are removed, and those that stay lack nothing."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.pipeline.command import Finished, Project, assert_error, draw, listing, verb
from tests.storage.processes import SHARER, started
from tests.support.processes import run

pytestmark = pytest.mark.slow

#: The verb, which kills itself before the nth rename or removal of a file or folder.
DIE = """
import sys
from pipeline.cli.app import app
from tests.support.processes import kill_at

kill_at(int(sys.argv.pop(1)))
app()
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, small: dict[str, str]) -> Project:
    """Three runs, of which the last kept two; tests copy its data root."""
    folder = tmp_path_factory.mktemp("gc")
    project = Project(folder / "photos", folder / "data")
    for day, photos in enumerate((range(24), range(24, 30), range(30, 33)), 1):
        draw(project.photos, photos)
        options = {"keep_runs": "2"} if day == 3 else {}
        done = project.retrain_forked(**small, date=f"2026-03-0{day}", **options).check()
    assert "Old runs  1 removed with what only they needed" in done.output
    return project


@pytest.fixture
def project(three: Project, tmp_path: Path) -> Project:
    """The same photos, and a data root of its own."""
    shutil.copytree(three.root, tmp_path / "data")
    return Project(three.photos, tmp_path / "data")


def words(project: Project, *extra: str) -> list[str]:
    return ["gc", "--data-root", str(project.root), *extra]


def gc(project: Project, *extra: str) -> Finished:
    return verb(*words(project, *extra))


def dates(project: Project) -> list[str]:
    return sorted(path.name[:10] for path in project.root.glob("runs/*/*.json"))


def test_keep_runs_removes_older_runs_and_what_only_they_needed(three: Project) -> None:
    assert dates(three) == ["2026-03-02", "2026-03-03"]
    kept = [three.record(date) for date in dates(three)]
    (path,) = (three.root / "champion").glob("*.json")
    # The champion can be rolled back to the models before it.
    former = json.loads(path.read_text())["former"]
    heads = {record["head"] for record in kept} | {model["champion"] for model in former}
    assert {path.name for path in (three.root / "train").iterdir()} == heads
    snapshots = {own["snapshot"] for own in [*kept, *former]}
    assert {path.stem for path in (three.root / "snapshot").glob("*.parquet")} == snapshots
    page = (three.root / "index.html").read_text()
    assert [date in page for date in ("2026-03-01", "2026-03-02", "2026-03-03")] == [False, True, True]


def test_after_it_the_last_run_has_nothing_to_do_and_the_next_one_computes_nothing_anew(
    project: Project, small: dict[str, str]
) -> None:
    gc(project, "--keep-runs", "1", "--yes").check()
    assert dates(project) == ["2026-03-03"]
    assert Path(project.root / "report" / project.record("2026-03-03")["stages"]["report"]["key"]).is_dir()
    before = listing(project.root)
    assert project.retrain_forked(**small, date="2026-03-03").check().output.startswith("Nothing to do")
    assert listing(project.root) == before
    project.retrain_forked(**small, date="2026-03-04").check()
    new = project.new("2026-03-04")
    assert [new[stage] for stage in ("backbone", "decode", "bottleneck", "train", "evaluate")] == [0] * 5


def test_nothing_is_removed_in_a_dry_run_without_consent_or_if_all_is_needed(project: Project) -> None:
    before = listing(project.root)
    listed = gc(project, "--keep-runs", "1", "--dry-run")
    assert (listed.code, listed.output.startswith("To be removed: ")) == (0, True)
    assert "2026-03-02" in listed.output
    assert_error(gc(project, "--keep-runs", "1"), 1, "Give --yes")
    needed = gc(project, "--yes")
    assert (needed.code, needed.output.startswith("Nothing to remove: 2 runs stay")) == (0, True)
    assert listing(project.root) == before


def test_json_names_every_path_and_removes_them_with_yes_alone(project: Project) -> None:
    told = json.loads(gc(project, "--keep-runs", "1", "--json").output)
    assert told["removed"] is False
    assert {piece["stage"] for piece in told["pieces"]} >= {"record", "report", "decode", "bottleneck"}
    assert all(Path(piece["path"]).exists() for piece in told["pieces"])
    done = json.loads(gc(project, "--keep-runs", "1", "--json", "--yes").output)
    assert (done["removed"], done["files"], done["bytes"]) == (True, told["files"], told["bytes"])
    assert not any(Path(piece["path"]).exists() for piece in told["pieces"])


def test_nothing_is_removed_during_a_run_or_if_a_record_cannot_be_read(project: Project) -> None:
    before = listing(project.root)
    with started(SHARER, project.root):
        assert_error(gc(project, "--keep-runs", "1", "--yes"), 1, "A run is under way")
    assert listing(project.root) == before
    (record,) = project.root.glob("runs/*/2026-03-02-*.json")
    record.write_text("{")
    assert_error(gc(project, "--keep-runs", "1", "--yes"), 1, f"{record} is damaged", "Delete it")
    assert listing(project.root) == before


@pytest.mark.parametrize("step", [1, 4, 8])
def test_killed_anywhere_it_leaves_the_last_run_whole_and_the_next_gc_ends_it(project: Project, step: int) -> None:
    expected = Project(project.photos, project.root.parent / "other")
    shutil.copytree(project.root, expected.root)
    gc(expected, "--keep-runs", "1", "--yes").check()
    killed = run([sys.executable, "-c", DIE, step, *words(project, "--keep-runs", "1", "--yes")])
    assert killed.code == -signal.SIGKILL
    # The record is removed first, so that no run is ever half there.
    assert dates(project) == ["2026-03-03"]
    assert listing(project.root) >= listing(expected.root)
    gc(project, "--keep-runs", "1", "--yes").check()
    assert listing(project.root) == listing(expected.root)
