"""Unattended nights: what becomes of a night in which something is away, gone, new or broken; with luigi's command."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.command import LITTLE, Finished, Project, draw, luigi
from tests.pipeline.conftest import Trained
from tests.pipeline.first_stages import retrain_here

PHOTOS = Trained.PHOTOS
#: Run by Python before any program: hashing photos breaks.
BROKEN = """
import tasks.snapshot.hashes
def hash_files(*_):
    raise ValueError("a bug of ours")
tasks.snapshot.hashes.hash_files = hash_files
"""


@pytest.fixture(scope="module")
def nights(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset that was trained on for 1 March; the tests of this module add the nights that follow."""
    folder = tmp_path_factory.mktemp("unattended")
    shutil.copytree(trained.project.photos, folder / "photos")
    shutil.copytree(trained.project.root, folder / "data")
    # The dataset of another folder; here it is the only one.
    for kept in ("champion", "runs"):
        shutil.rmtree(folder / "data" / kept)
    project = Project(folder / "photos", folder / "data")
    retrain_here(project, date="2026-03-01", max_rejected="0.05")
    return project


def published(root: Path) -> dict[Path, bytes]:
    """All that is published."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def events(done: Finished) -> list[dict[str, Any]]:
    """Standard output, each line of which must be a JSON object."""
    read = [json.loads(line) for line in done.output.splitlines()]
    assert all(isinstance(event, dict) and event["event"] and event["time"] for event in read)
    return read


def named(done: Finished, event: str) -> list[dict[str, Any]]:
    return [one for one in events(done) if one["event"] == event]


def test_a_night_without_new_photos_computes_nothing_and_ends_well(nights: Project) -> None:
    done = nights.retrain(date="2026-03-02", log_format="json")
    assert done.code == 0, done.errors
    first, second = nights.record("2026-03-01"), nights.record("2026-03-02")
    assert {stage for stage, new in nights.new("2026-03-02").items() if new} <= {"snapshot", "report"}
    same = ("snapshot", "bottleneck", "head", "evaluation", "champion", "metrics", "photos")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}
    assert (second["labels"], second["unreached"]) == ({"new": [], "gone": []}, None)
    (told,) = named(done, "run_done")
    assert {name: told[name] for name in ("head", "photos", "metrics")} == {
        name: second[name] for name in ("head", "photos", "metrics")
    }
    stages = named(done, "stage_done")
    assert [stage["stage"] for stage in stages] == ["snapshot", "report"]
    assert stages[0].items() >= {"key": second["snapshot"], "photos": PHOTOS, "run": second["run"]}.items()
    assert [one["stage"] for one in named(done, "stage_started")] == ["snapshot", "report"]


def test_a_night_without_its_folder_fails_and_everything_from_before_stays(nights: Project) -> None:
    away = nights.photos.with_name("away")
    shutil.move(nights.photos, away)
    before = published(nights.root)
    try:
        done = nights.retrain(date="2026-03-03", log_format="json")
    finally:
        shutil.move(away, nights.photos)
    assert done.code == 52
    assert "Traceback" not in done.errors
    assert f"The folder {nights.photos} could not be reached (No such file or directory)" in done.errors
    assert "the photos of 2026-03-02: --on-missing-source use-last" in done.errors
    (error,) = named(done, "error")
    assert error.items() >= {"kind": "DatasetError", "exit_code": 52}.items()
    assert error["message"] in done.errors
    assert published(nights.root) == before


def test_a_night_may_go_on_with_the_last_photos_until_the_folder_is_back(nights: Project) -> None:
    away = nights.photos.with_name("away")
    shutil.move(nights.photos, away)
    # A mount point whose disk is away.
    nights.photos.mkdir()
    today = {"on_missing_source": "use-last"}
    try:
        done = nights.retrain_forked(**today)
        again = nights.retrain_forked(**today, log_format="json")
    finally:
        nights.photos.rmdir()
        shutil.move(away, nights.photos)
    assert done.code == 0, done.errors
    said = "could not be reached (it holds no photo that can be read); the photos of 2026-03-02 were used."
    assert f"Source          The folder {nights.photos} {said}" in done.output
    (told,) = named(again, "nothing_to_do")
    assert said in told["text"]
    record = json.loads(Path(told["record"]).read_text())
    assert record["unreached"]["photos_of"] == "2026-03-02"
    assert record["snapshot"] == nights.record("2026-03-02")["snapshot"]
    assert said in Path(record["report"]).read_text()

    back = nights.retrain_forked(**today)
    assert back.code == 0, back.errors
    record = json.loads(Path(told["record"]).read_text())
    assert record["unreached"] is None
    assert said not in Path(record["report"]).read_text()


def test_photos_that_no_store_has_cannot_be_made_up_for_a_folder_that_is_away(nights: Project) -> None:
    away = nights.photos.with_name("away")
    shutil.move(nights.photos, away)
    try:
        done = nights.retrain_forked(date="2026-03-03", on_missing_source="use-last", image_size="80")
    finally:
        shutil.move(away, nights.photos)
    assert done.code == 52
    assert "the photos of 2026-03-02 were used" in done.output
    assert "36 of 36 photos cannot be decoded (vanished 36), more than --max-rejected 0.05" in done.errors
    assert "Traceback" not in done.errors


def test_a_night_in_which_half_the_photos_vanished_is_refused_and_everything_from_before_stays(
    nights: Project,
) -> None:
    away = nights.photos.with_name("away")
    away.mkdir()
    half = sorted(nights.photos.glob("*/*.jpg"))[: PHOTOS // 2]
    before = published(nights.root)
    for photo in half:
        shutil.move(photo, away / f"{photo.parent.name}-{photo.name}")
    try:
        done = nights.retrain_forked(date="2026-03-04")
    finally:
        for photo in half:
            shutil.move(away / f"{photo.parent.name}-{photo.name}", photo)
    assert done.code == 52
    assert "Traceback" not in done.errors
    assert "18 of the 36 photos of 2026-03-02 are gone ('daisy' 12, 'dandelion' 6), more than --max-shrink 0.2" in (
        done.errors
    )
    assert published(nights.root) == before


def test_a_stage_that_fails_leaves_champion_report_and_index_byte_for_byte(nights: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    before = published(nights.root)
    done = nights.retrain({"PYTHONPATH": str(tmp_path)}, date="2026-03-04", workers="2", log_format="json")
    assert done.code == 30
    assert "Traceback" in done.errors
    assert "a bug of ours" in done.errors
    (error,) = named(done, "error")
    assert error.items() >= {"kind": "ValueError", "exit_code": 30}.items()
    assert published(nights.root) == before


def test_labels_that_are_new_and_gone_are_told(nights: Project) -> None:
    draw(nights.photos, range(PHOTOS, PHOTOS + 24), labels=4)
    shutil.rmtree(nights.photos / "roses")
    done = nights.retrain_forked(date="2026-03-05", max_shrink="60 %", **LITTLE)
    assert done.code in (0, 58), done.errors
    record = nights.record("2026-03-05")
    assert record["labels"] == {"new": ["sunflowers"], "gone": ["roses"]}
    assert "Labels          'sunflowers' new; 'roses' gone since the last run" in done.output


def test_a_night_of_a_past_date_leaves_the_champion_of_a_later_one(nights: Project) -> None:
    (champion,) = nights.root.glob("champion/*.json")
    before = champion.read_bytes()
    done = nights.retrain_forked(date="2026-02-01", seed="5", **LITTLE)
    assert done.code in (0, 58), done.errors
    assert champion.read_bytes() == before
    assert nights.record("2026-02-01")["labels"] == {"new": [], "gone": []}


def test_a_range_of_nights_ends_with_the_code_of_its_failure(nights: Project) -> None:
    options = {
        "of": "RetrainFlowers",
        "start": "2026-04-01",
        "stop": "2026-04-03",
        "param-name": "date",
        "days-back": "100000",
        "of-params": json.dumps({"dataset": str(nights.photos / "nowhere"), "data_root": str(nights.root)}),
    }
    done = luigi("RangeDaily", options)
    assert done.code == 52
    assert "There is no dataset" in done.errors
    assert "Traceback" not in done.errors
