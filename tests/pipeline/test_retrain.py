"""Runs as a person or cron starts them: what each one reuses of the runs before it, and what it computes."""

import datetime as dt
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.hardware import find_hardware
from tests.pipeline.command import LITTLE, Finished, Project, assert_error, draw, luigi
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import retrain_here

NEXT = "2026-03-02"
#: Modules that a run with nothing to do must not import.
HEAVY = {"tensorflow", "keras", "openvino", "PIL", "scipy", "httpx"}


def range_daily(project: Project, stop: str, **more: object) -> Finished:
    """Run RangeDaily from the date of the first run on."""
    given = {**project.options(), **more}
    dates = {"start": Trained.DATE, "stop": stop, "param-name": "date", "days-back": "100000"}
    return luigi("RangeDaily", {"of": "RetrainFlowers", "of-params": json.dumps(given), **dates})


def test_first_run_computes_everything_and_says_so(trained: Trained) -> None:
    first, record = trained.project, trained.project.record(Trained.DATE)
    assert "Test accuracy" in trained.done.output
    assert [first.new(Trained.DATE)[stage] for stage in ("decode", "bottleneck")] == [Trained.PHOTOS] * 2
    assert (record["photos"], record["rejected"]) == (Trained.PHOTOS, 0)
    assert 0 < record["metrics"]["test"]["interval"]["low"] <= record["metrics"]["test"]["accuracy"]
    # Without an export nothing is served, which can take less than the half of a millisecond.
    assert all(stage["seconds"] > 0 for name, stage in record["stages"].items() if name != "serving")
    results = first.root / "evaluate" / record["evaluation"]
    assert {path.name for path in results.iterdir()} == {
        "metrics.json",
        "predictions.parquet",
        "label_issues.parquet",
        "near_duplicates.parquet",
        "manifest.json",
    }
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] == record["metrics"]["test"]["accuracy"]
    assert Path(record["report"]).is_file()
    assert (first.root / "index.html").is_file()


def test_the_same_run_again_without_luigi_cfg_has_nothing_to_do_and_imports_nothing_heavy(
    same_photos: Project, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in same_photos.root.rglob("*")}
    options = same_photos.options(date=Trained.DATE)
    done = luigi("RetrainFlowers", options, {"PYTHONPROFILEIMPORTTIME": "1"}, tmp_path)
    assert done.code == 0
    assert done.output.startswith("Nothing to do")
    lines = done.errors.splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == []
    imported = {line.rsplit("|", 1)[-1].strip() for line in lines}
    assert "luigi" in imported
    assert not imported & HEAVY
    assert {path: path.stat().st_mtime_ns for path in same_photos.root.rglob("*")} == before


def test_the_next_run_computes_only_added_and_edited_photos_and_its_head_is_that_of_a_cold_run(
    copied: Project, tmp_path: Path
) -> None:
    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 6))
    photo = copied.photos / "daisy" / "000.jpg"
    photo.write_bytes(photo.read_bytes() + b"edited")
    cold = Project(copied.photos, tmp_path / "cold")
    # The converted network is that of the first run: its conversion takes long.
    (network,) = copied.root.glob("bottleneck/*/openvino-*.zip")
    kept = cold.root / network.relative_to(copied.root)
    kept.parent.mkdir(parents=True)
    shutil.copy(network, kept)
    for project in (copied, cold):
        retrain_here(project, date=NEXT)
    record = copied.record(NEXT)
    stages = record["stages"]
    for stage in ("decode", "bottleneck"):
        assert (stages[stage]["new"], stages[stage]["reused"]) == (6 + 1, Trained.PHOTOS - 1)
    assert stages["bottleneck"]["details"]["rows_new"] == 6 + 1
    assert stages["train"]["new"] > 0
    assert cold.record(NEXT)["head"] == record["head"] != copied.record(Trained.DATE)["head"]
    for name in ("head.npz", "head.json"):
        one, other = (project.root / "train" / record["head"] / name for project in (copied, cold))
        assert one.read_bytes() == other.read_bytes()


def test_a_deleted_photo_and_a_renamed_label_cost_a_new_head_only(copied: Project) -> None:
    next(copied.photos.glob("roses/*.jpg")).unlink()
    (copied.photos / "roses").rename(copied.photos / "Rosen im Garten ü")
    retrain_here(copied, date=NEXT, seed="7", **LITTLE)
    new, record = copied.new(NEXT), copied.record(NEXT)
    assert (new["decode"], new["bottleneck"]) == (0, 0)
    assert new["train"] > 0
    assert record["photos"] == Trained.PHOTOS - 1
    head = json.loads((copied.root / "train" / record["head"] / "head.json").read_text())
    assert (head["labels"], head["settings"]["seed"]) == (["Rosen im Garten ü", "daisy", "dandelion"], 7)


def test_range_daily_does_the_missing_runs(same_photos: Project) -> None:
    range_daily(same_photos, "2026-03-04").check()
    for date in (NEXT, "2026-03-03"):
        assert {stage for stage, new in same_photos.new(date).items() if new} == {"report"}


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ({"folds": 1}, 51, "ERROR: --folds is 1; it takes 2 to 10, or 0 for no cross-validation.\n"),
        ({"dataset": "/nowhere"}, 52, "There is no dataset"),
    ],
)
def test_range_daily_ends_with_the_exit_code_of_the_failure(
    project: Project, given: dict[str, object], code: int, sentence: str
) -> None:
    assert_error(range_daily(project, "2026-03-03", **given), code, sentence)


def test_photos_added_later_on_the_same_day_are_trained_on_by_the_same_command(copied: Project) -> None:
    today = f"{dt.date.today()}"
    copied.retrain_forked(date=today, **LITTLE).check()
    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 3))
    done = copied.retrain_forked(date=today, **LITTLE).check()
    assert f"{Trained.PHOTOS + 3} used, 3 of them new" in done.output
    assert "Nothing to do" in copied.retrain_forked(date=today, **LITTLE).output


def test_conflicts_duplicates_and_rejected_photos_are_left_out_and_reported(copied: Project) -> None:
    shutil.copy(copied.photos / "daisy" / "000.jpg", copied.photos / "roses" / "same.jpg")
    shutil.copy(copied.photos / "daisy" / "003.jpg", copied.photos / "daisy" / "twice.jpg")
    (copied.photos / "daisy" / "broken.jpg").write_bytes(b"<html>not found</html>")
    (copied.photos / "LICENSE.txt").write_text("CC0")
    retrain_here(copied, date=NEXT, **LITTLE)
    record = copied.record(NEXT)
    assert (record["photos"], record["rejected"]) == (Trained.PHOTOS - 1, 1)
    details = record["stages"]["snapshot"]["details"]
    assert (details["conflicts"], details["duplicates"]) == (2, 1)
    assert record["stages"]["decode"]["details"]["reasons"] == {"unknown_format": 1}
    results = copied.root / "evaluate" / record["evaluation"]
    paths = pq.read_table(results / "predictions.parquet").column("path").to_pylist()
    assert len(paths) == Trained.PHOTOS - 1
    left_out = {"roses/same.jpg", "daisy/twice.jpg", "daisy/broken.jpg"}
    assert not {"daisy/000.jpg", *left_out} & set(paths)
    report = Path(record["report"]).read_text()
    assert all(name in report for name in left_out)


@pytest.mark.slow
def test_precision_is_resolved_recorded_and_part_of_the_key(trained: Trained, copied: Project) -> None:
    fastest = "bfloat16" if find_hardware().bfloat16 else "float32"
    assert "delegate" not in trained.done.errors + trained.done.output
    assert "trackable_obj" not in trained.done.errors + trained.done.output
    auto = trained.project.record(Trained.DATE)
    bottleneck = auto["stages"]["bottleneck"]
    assert (auto["parameters"]["precision"], bottleneck["details"]["precision"]) == ("auto", fastest)
    assert {"imports", "network"} <= set(bottleneck["startup"])
    (network,) = copied.root.glob("bottleneck/*/openvino-*.zip")
    written = network.stat().st_mtime_ns

    retrain_here(copied, date=NEXT, precision=fastest)
    assert (copied.record(NEXT)["head"], copied.new(NEXT)["bottleneck"]) == (auto["head"], 0)

    retrain_here(copied, date="2026-03-03", precision="int8", **LITTLE)
    stages = copied.record("2026-03-03")["stages"]
    assert stages["bottleneck"]["details"]["precision"] == "int8"
    assert (stages["bottleneck"]["new"], stages["decode"]["new"]) == (Trained.PHOTOS, 0)

    draw(copied.photos, range(Trained.PHOTOS, Trained.PHOTOS + 3))
    retrain_here(copied, date="2026-03-04", **LITTLE)
    assert copied.new("2026-03-04")["bottleneck"] == 3
    assert list(copied.root.glob("bottleneck/*/openvino-*.zip")) == [network]
    assert network.stat().st_mtime_ns == written
