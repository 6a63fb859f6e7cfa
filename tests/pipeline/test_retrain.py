"""The nightly run as a person or cron starts it: the real command, on folders that change between the nights."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.command import Project, draw, luigi

PHOTOS = 36
#: What a no-op must not import.
HEAVY = ("tensorflow", "keras", "PIL", "matplotlib", "sklearn", "scipy", "httpx")


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset that was trained on for 1 March; the tests of this module add the nights that follow."""
    folder = tmp_path_factory.mktemp("nights")
    project = Project(folder / "photos", folder / "data")
    draw(project.photos, range(PHOTOS))
    done = project.retrain(date="2026-03-01")
    assert done.code == 0, done.errors
    assert "Test accuracy" in done.output
    return project


def made(nights: Project, date: str) -> set[str]:
    """The stages that a night had any work in."""
    return {stage for stage, new in nights.new(date).items() if new}


def test_first_run_computes_everything_and_says_so(nights: Project) -> None:
    record = nights.record("2026-03-01")
    assert nights.new("2026-03-01")["decode"] == PHOTOS
    assert nights.new("2026-03-01")["bottleneck"] == PHOTOS
    assert record["photos"] == PHOTOS
    assert record["rejected"] == 0
    assert 0 < record["metrics"]["test"]["interval"]["low"] <= record["metrics"]["test"]["accuracy"]
    assert all(stage["seconds"] > 0 for stage in record["stages"].values())
    results = nights.root / "evaluate" / record["evaluation"]
    assert {path.name for path in results.iterdir()} == {"metrics.json", "predictions.parquet", "manifest.json"}
    assert Path(record["report"]).is_file()
    assert (nights.root / "index.html").is_file()
    assert (
        json.loads((results / "metrics.json").read_text())["test"]["accuracy"]
        == (record["metrics"]["test"]["accuracy"])
    )


def test_the_same_run_again_has_nothing_to_do_and_imports_nothing_heavy(nights: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in nights.root.rglob("*")}
    done = nights.retrain({"PYTHONPROFILEIMPORTTIME": "1"}, date="2026-03-01")
    assert done.code == 0
    assert done.output.startswith("Nothing to do")
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.errors.splitlines() if "|" in line}
    assert "luigi" in imported
    assert not imported & set(HEAVY)
    assert {path: path.stat().st_mtime_ns for path in nights.root.rglob("*")} == before


def test_added_photos_are_all_that_the_next_night_computes(nights: Project) -> None:
    draw(nights.photos, range(PHOTOS, PHOTOS + 6))
    assert nights.retrain(date="2026-03-02").code == 0
    stages = nights.record("2026-03-02")["stages"]
    for stage in ("decode", "bottleneck"):
        assert (stages[stage]["new"], stages[stage]["reused"]) == (6, PHOTOS)
    assert stages["bottleneck"]["details"]["rows_new"] == 6
    assert stages["train"]["new"] > 0
    assert nights.record("2026-03-02")["head"] != nights.record("2026-03-01")["head"]


def test_an_edited_photo_is_a_new_photo(nights: Project) -> None:
    photo = next(nights.photos.glob("daisy/*.jpg"))
    photo.write_bytes(photo.read_bytes() + b"edited")
    assert nights.retrain(date="2026-03-03").code == 0
    new = nights.new("2026-03-03")
    assert (new["decode"], new["bottleneck"]) == (1, 1)
    assert new["train"] > 0


def test_a_deleted_photo_costs_a_new_head_only(nights: Project) -> None:
    before = nights.record("2026-03-03")["photos"]
    next(nights.photos.glob("roses/*.jpg")).unlink()
    assert nights.retrain(date="2026-03-04").code == 0
    new = nights.new("2026-03-04")
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    assert nights.record("2026-03-04")["photos"] == before - 1


def test_a_renamed_label_costs_a_new_head_only(nights: Project) -> None:
    (nights.photos / "roses").rename(nights.photos / "Rosen im Garten ü")
    assert nights.retrain(date="2026-03-05").code == 0
    new = nights.new("2026-03-05")
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    head = nights.root / "train" / nights.record("2026-03-05")["head"] / "head.json"
    assert json.loads(head.read_text())["labels"] == ["Rosen im Garten ü", "daisy", "dandelion"]


def test_an_unchanged_night_costs_nothing_and_has_a_record_of_its_own(nights: Project) -> None:
    assert nights.retrain(date="2026-03-06").code == 0
    assert made(nights, "2026-03-06") == {"report"}
    assert nights.record("2026-03-06")["head"] == nights.record("2026-03-05")["head"]


def test_range_daily_fills_in_the_nights_that_are_missing(nights: Project) -> None:
    parameters = {"dataset": str(nights.photos), "data_root": str(nights.root), "image_size": 64, "views": 1}
    options = {
        "of": "RetrainFlowers",
        "start": "2026-03-05",
        "stop": "2026-03-09",
        "param-name": "date",
        "days-back": "100000",
    }
    given = json.dumps({**parameters, "folds": 2, "l2": "0.03", "export": "none"})
    done = luigi("RangeDaily", {**options, "of-params": given})
    assert done.code == 0, done.errors
    assert made(nights, "2026-03-08") == {"report"}


def test_photos_added_after_lunch_are_trained_on_by_the_same_command(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(24))
    today = f"{dt.date.today()}"
    assert project.retrain(date=today).code == 0
    draw(project.photos, range(24, 27))
    done = project.retrain(date=today)
    assert done.code == 0
    assert "27 used, 3 of them new" in done.output
    assert "Nothing to do" in project.retrain(date=today).output


def test_another_parameter_never_finds_an_old_result(nights: Project) -> None:
    before = set((nights.root / "train").iterdir())
    assert nights.retrain(date="2026-03-06", seed="7").code == 0
    (head,) = set((nights.root / "train").iterdir()) - before
    assert json.loads((head / "head.json").read_text())["settings"]["seed"] == 7


def test_conflicts_duplicates_and_rejected_photos_are_left_out_and_reported(tmp_path: Path) -> None:
    project = Project(tmp_path / "photos", tmp_path / "data")
    draw(project.photos, range(60))
    shutil.copy(project.photos / "daisy" / "000.jpg", project.photos / "roses" / "same.jpg")
    shutil.copy(project.photos / "daisy" / "003.jpg", project.photos / "daisy" / "twice.jpg")
    (project.photos / "daisy" / "broken.jpg").write_bytes(b"<html>not found</html>")
    (project.photos / "LICENSE.txt").write_text("CC0")
    done = project.retrain(date="2026-03-01")
    assert done.code == 0, done.errors
    record = project.record("2026-03-01")
    assert (record["photos"], record["rejected"]) == (59, 1)
    assert record["stages"]["snapshot"]["details"]["conflicts"] == 2
    assert record["stages"]["snapshot"]["details"]["duplicates"] == 1
    assert record["stages"]["decode"]["details"]["reasons"] == {"unknown_format": 1}
    results = project.root / "evaluate" / record["evaluation"]
    paths = pq.read_table(results / "predictions.parquet").column("path").to_pylist()
    assert len(paths) == 59
    assert not {"daisy/000.jpg", "roses/same.jpg", "daisy/twice.jpg", "daisy/broken.jpg"} & set(paths)
    report = Path(record["report"]).read_text()
    assert all(name in report for name in ("roses/same.jpg", "daisy/twice.jpg", "daisy/broken.jpg"))
