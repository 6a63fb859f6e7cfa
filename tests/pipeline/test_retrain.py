"""The nightly run as a person or cron starts it: what each kind of night finds again, and what it has to do."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from tests.pipeline.command import LITTLE, QUICK, Project, draw, luigi
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import retrain_here

NEXT = "2026-03-02"
#: What a no-op must not import.
HEAVY = ("tensorflow", "keras", "openvino", "PIL", "matplotlib", "sklearn", "scipy", "httpx")


def made(project: Project, date: str) -> set[str]:
    """The stages that a night had any work in."""
    return {stage for stage, new in project.new(date).items() if new}


def test_first_run_computes_everything_and_says_so(trained: Trained) -> None:
    first, record = trained.project, trained.project.record(Trained.DATE)
    assert "Test accuracy" in trained.done.output
    assert first.new(Trained.DATE)["decode"] == Trained.PHOTOS
    assert first.new(Trained.DATE)["bottleneck"] == Trained.PHOTOS
    assert record["photos"] == Trained.PHOTOS
    assert record["rejected"] == 0
    assert 0 < record["metrics"]["test"]["interval"]["low"] <= record["metrics"]["test"]["accuracy"]
    assert all(stage["seconds"] > 0 for stage in record["stages"].values())
    results = first.root / "evaluate" / record["evaluation"]
    assert {path.name for path in results.iterdir()} == {"metrics.json", "predictions.parquet", "manifest.json"}
    assert Path(record["report"]).is_file()
    assert (first.root / "index.html").is_file()
    assert (
        json.loads((results / "metrics.json").read_text())["test"]["accuracy"]
        == (record["metrics"]["test"]["accuracy"])
    )


def test_the_same_run_again_has_nothing_to_do_and_imports_nothing_heavy(same_photos: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in same_photos.root.rglob("*")}
    done = same_photos.retrain({"PYTHONPROFILEIMPORTTIME": "1"}, date=Trained.DATE)
    assert done.code == 0
    assert done.output.startswith("Nothing to do")
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.errors.splitlines() if "|" in line}
    assert "luigi" in imported
    assert not imported & set(HEAVY)
    assert {path: path.stat().st_mtime_ns for path in same_photos.root.rglob("*")} == before


def test_added_and_edited_photos_are_all_that_the_next_night_computes_and_its_head_is_that_of_a_cold_run(
    copied: Project, tmp_path: Path
) -> None:
    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 6))
    photo = copied.photos / "daisy" / "000.jpg"
    photo.write_bytes(photo.read_bytes() + b"edited")
    retrain_here(copied, date=NEXT, max_rejected="0.05")
    stages = copied.record(NEXT)["stages"]
    for stage in ("decode", "bottleneck"):
        assert (stages[stage]["new"], stages[stage]["reused"]) == (6 + 1, Trained.PHOTOS - 1)
    assert stages["bottleneck"]["details"]["rows_new"] == 6 + 1
    assert stages["train"]["new"] > 0
    assert copied.record(NEXT)["head"] != copied.record(Trained.DATE)["head"]
    cold = Project(copied.photos, tmp_path / "cold")
    retrain_here(cold, date=NEXT, max_rejected="0.05")
    record = copied.record(NEXT)
    assert cold.record(NEXT)["head"] == record["head"]
    for name in ("head.npz", "head.json"):
        one, other = (project.root / "train" / record["head"] / name for project in (copied, cold))
        assert one.read_bytes() == other.read_bytes()


def test_a_deleted_photo_and_a_renamed_label_cost_a_new_head_only(copied: Project) -> None:
    next(copied.photos.glob("roses/*.jpg")).unlink()
    (copied.photos / "roses").rename(copied.photos / "Rosen im Garten ü")
    retrain_here(copied, date=NEXT)
    new, record = copied.new(NEXT), copied.record(NEXT)
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    assert record["photos"] == Trained.PHOTOS - 1
    head = copied.root / "train" / record["head"] / "head.json"
    assert json.loads(head.read_text())["labels"] == ["Rosen im Garten ü", "daisy", "dandelion"]


def test_an_unchanged_night_costs_nothing_and_has_a_record_of_its_own(same_photos: Project) -> None:
    retrain_here(same_photos, date=NEXT, max_rejected="0.05")
    assert made(same_photos, NEXT) == {"report"}
    assert same_photos.record(NEXT)["head"] == same_photos.record(Trained.DATE)["head"]


def test_range_daily_fills_in_the_nights_that_are_missing(same_photos: Project) -> None:
    quick = {name.replace("-", "_"): value for name, value in QUICK.items()}
    parameters = {"dataset": str(same_photos.photos), "data_root": str(same_photos.root), **quick}
    options = {
        "of": "RetrainFlowers",
        "start": Trained.DATE,
        "stop": "2026-03-04",
        "param-name": "date",
        "days-back": "100000",
        "of-params": json.dumps(parameters),
    }
    done = luigi("RangeDaily", options)
    assert done.code == 0, done.errors
    assert made(same_photos, NEXT) == made(same_photos, "2026-03-03") == {"report"}


def test_photos_added_after_lunch_are_trained_on_by_the_same_command(copied: Project) -> None:
    today = f"{dt.date.today()}"
    assert copied.retrain_forked(date=today, **LITTLE).code == 0
    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 3))
    done = copied.retrain_forked(date=today, **LITTLE)
    assert done.code == 0
    assert f"{Trained.PHOTOS + 3} used, 3 of them new" in done.output
    assert "Nothing to do" in copied.retrain(date=today, **LITTLE).output


def test_another_parameter_never_finds_an_old_result(same_photos: Project) -> None:
    before = set((same_photos.root / "train").iterdir())
    retrain_here(same_photos, date=NEXT, seed="7")
    (head,) = set((same_photos.root / "train").iterdir()) - before
    assert json.loads((head / "head.json").read_text())["settings"]["seed"] == 7


def test_conflicts_duplicates_and_rejected_photos_are_left_out_and_reported(copied: Project) -> None:
    shutil.copy(copied.photos / "daisy" / "000.jpg", copied.photos / "roses" / "same.jpg")
    shutil.copy(copied.photos / "daisy" / "003.jpg", copied.photos / "daisy" / "twice.jpg")
    (copied.photos / "daisy" / "broken.jpg").write_bytes(b"<html>not found</html>")
    (copied.photos / "LICENSE.txt").write_text("CC0")
    retrain_here(copied, date=NEXT, **LITTLE)
    record = copied.record(NEXT)
    assert (record["photos"], record["rejected"]) == (Trained.PHOTOS - 1, 1)
    assert record["stages"]["snapshot"]["details"]["conflicts"] == 2
    assert record["stages"]["snapshot"]["details"]["duplicates"] == 1
    assert record["stages"]["decode"]["details"]["reasons"] == {"unknown_format": 1}
    results = copied.root / "evaluate" / record["evaluation"]
    paths = pq.read_table(results / "predictions.parquet").column("path").to_pylist()
    assert len(paths) == Trained.PHOTOS - 1
    assert not {"daisy/000.jpg", "roses/same.jpg", "daisy/twice.jpg", "daisy/broken.jpg"} & set(paths)
    report = Path(record["report"]).read_text()
    assert all(name in report for name in ("roses/same.jpg", "daisy/twice.jpg", "daisy/broken.jpg"))
