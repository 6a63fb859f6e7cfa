"""The run record: what it says of the time that a run took."""

import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.retrain import RetrainFlowers
from pipeline.summary import summarise, summarise_nothing
from tasks.catalog import Dataset
from tasks.runs.record_writer import Run, publish_record
from tasks.shards.manifests import Manifest
from tests.support.processes import TIMEOUT
from tests.support.repository import REPOSITORY

RUN = Run("2026-03-01-cafe-1", dt.date(2026, 3, 1), Dataset("photos", "folder", "photos"), {"views": "2"})
SHARE = {"photos": 4, "accuracy": 0.75, "interval": {"low": 0.3, "high": 0.95}}
DETAILS = {"state": "", "asked": "", "missing": 0, "conflicts": 0, "test": SHARE, "cross_validation": None}
STAGES = {
    stage: Manifest(
        stage=stage,
        run=RUN.id,
        seconds=10.5,
        startup=startup,
        key=stage,
        snapshot="",
        settings={},
        photos=40,
        new=40,
        reused=0,
        details={**DETAILS, "report": "report.html"},
    )
    for stage, startup in {
        "backbone": {"imports": 0.1},
        "snapshot": {},
        "decode": {"imports": 0.2, "processes": 0.4},
        "bottleneck": {"imports": 6.5, "network": 2.25},
        "train": {"network": 0.5},
        "evaluate": {"imports": 1.0},
        "champion": {},
        "report": {},
    }.items()
}
#: A program that loads the pipeline late and writes a record later still.
LATE = """
import sys, time
from pathlib import Path
time.sleep(0.3)
from tests.runs.test_record_writer import RUN, STAGES, publish_record
time.sleep(0.2)
publish_record(Path(sys.argv[1]), RUN, STAGES)
"""


def publish(path: Path, stages: dict[str, Manifest]) -> dict[str, Any]:
    publish_record(path, RUN, stages)
    record: dict[str, Any] = json.loads(path.read_text())
    return record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.json"


def test_start_up_is_told_of_each_stage_and_added_up(path: Path) -> None:
    record = publish(path, STAGES)
    assert record["stages"]["bottleneck"]["startup"] == {"imports": 6.5, "network": 2.25}
    startup = record["startup"]
    parts = {what: seconds for what, seconds in startup.items() if what not in ("seconds", "program")}
    assert parts == {"imports": 7.8, "processes": 0.4, "network": 2.75}
    assert startup["seconds"] == pytest.approx(startup["program"] + 7.8 + 0.4 + 2.75, abs=0.002)
    assert record["seconds"] == 84


def test_what_an_earlier_run_prepared_is_not_this_run_s(path: Path) -> None:
    stages = {**STAGES, "bottleneck": replace(STAGES["bottleneck"], run="2026-02-28-cafe-1")}
    record = publish(path, stages)
    assert record["stages"]["bottleneck"]["startup"] == {}
    assert "network" in record["startup"]
    assert record["startup"]["imports"] == 1.3


def test_labels_that_came_and_went_and_a_source_that_was_away_are_told_apart_from_the_stage(path: Path) -> None:
    changes = {"new": ["roses"], "gone": []}
    unreached = {"source": "folder photos", "why": "No such file or directory", "photos_of": "2026-02-28"}
    details = {**STAGES["snapshot"].details, "label_changes": changes, "unreached": unreached}
    record = publish(path, {**STAGES, "snapshot": replace(STAGES["snapshot"], details=details)})
    assert (record["labels"], record["unreached"]) == (changes, unreached)
    assert not {"label_changes", "unreached"} & record["stages"]["snapshot"]["details"].keys()


def test_a_snapshot_that_an_earlier_version_took_has_no_labels_that_came_and_went(path: Path) -> None:
    first = STAGES["champion"]
    decided = replace(first, details={**first.details, "reason": "The model is the first."})
    served = replace(first, stage="serving", details={"version": None, "obstacle": "the champion has no export"})
    record = publish(path, {**STAGES, "champion": decided, "serving": served})
    assert (record["labels"], record["unreached"]) == ({"new": [], "gone": []}, None)
    lines = summarise(record, path, "photos")
    assert "Labels" not in "\n".join(lines)
    assert "Served          nothing: the champion has no export" in lines


@pytest.mark.parametrize(
    ("photos", "accuracy", "told"),
    [
        (
            3,
            2 / 3,
            "Test accuracy   66.7% (95 % interval 20.0% to 94.0%) on the 3 photos without a near duplicate in tra",
        ),
        (3, 0.7501, None),
        (0, None, "Test accuracy   too high: every test photo has a near duplicate in training"),
    ],
)
def test_near_duplicates_are_told_and_the_accuracy_without_them_where_it_differs(
    path: Path, photos: int, accuracy: float | None, told: str | None
) -> None:
    found = {"groups": 9, "photos": 20, "with_different_labels": 2}
    without = {"left_out": 1, "photos": photos, "accuracy": accuracy, "interval": {"low": 0.2, "high": 0.94}}
    figures = {"near_duplicates": found, "test_without_near_duplicates": without}
    evaluate = replace(STAGES["evaluate"], details={**DETAILS, **figures})
    champion = replace(STAGES["champion"], details={**DETAILS, "reason": "First."})
    served = replace(STAGES["champion"], stage="serving", details={"version": None, "obstacle": "no export"})
    record = publish(path, {**STAGES, "evaluate": evaluate, "champion": champion, "serving": served})
    assert {name: record["metrics"][name] for name in figures} == figures
    assert not figures.keys() & record["stages"]["evaluate"]["details"].keys()
    for lines in (summarise(record, path, "photos"), summarise_nothing(record, path, "photos")):
        of_accuracy = [line for line in lines if line.startswith("Test accuracy")]
        assert len(of_accuracy) == (2 if told else 1)
        assert of_accuracy[-1].startswith(told or "Test accuracy   75.0%")
    assert "Near duplicates 20 photos in 9 groups, 2 of them with different labels: see the report" in summarise(
        record, path, "photos"
    )


def test_passwords_and_tokens_of_urls_are_not_kept(path: Path) -> None:
    url = "https://me:hunter2@host/photos.tgz?token=s3cret"
    publish_record(path, RUN._replace(dataset=Dataset("photos", "url", url)), STAGES)
    assert json.loads(path.read_text())["dataset"]["location"] == "https://host/photos.tgz?…"
    one, other = (RetrainFlowers(dataset="sample", weights=weights).parameters() for weights in (url, f"{url}2"))
    assert one["weights"].startswith("https://host/photos.tgz?…#")
    assert one["weights"] != other["weights"]


def test_time_counts_from_the_start_of_the_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", LATE, path], cwd=REPOSITORY, check=True, timeout=TIMEOUT)
    record = json.loads(path.read_text())
    assert record["startup"]["program"] >= (0.3 if sys.platform == "linux" else 0)
    assert record["startup"]["program"] + 0.2 <= record["elapsed"] < TIMEOUT
