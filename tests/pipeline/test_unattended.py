"""Unattended runs, by the real command: something is away, gone, new or broken; a test goes on where the last ended."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.command import LITTLE, Finished, Project, assert_error, draw, option_words, published, verb
from tests.pipeline.conftest import Trained
from tests.pipeline.in_process import retrain_here

PHOTOS = Trained.PHOTOS
#: Run by Python before any program: hashing photos fails.
BROKEN = """
import tasks.snapshot.hashes
def hash_files(*_):
    raise ValueError("a bug of ours")
tasks.snapshot.hashes.hash_files = hash_files
"""


@pytest.fixture(scope="module")
def runs(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A dataset with a run of 1 March; the tests of this module add runs in their order."""
    folder = tmp_path_factory.mktemp("unattended")
    shutil.copytree(trained.project.photos, folder / "photos")
    shutil.copytree(trained.project.root, folder / "data")
    # Of the first run's folder, which is another dataset.
    for kept in ("champion", "runs"):
        shutil.rmtree(folder / "data" / kept)
    project = Project(folder / "photos", folder / "data")
    retrain_here(project, date="2026-03-01", max_rejected="0.05")
    return project


@contextmanager
def moved(photos: Path) -> Iterator[None]:
    away = photos.with_name("away")
    shutil.move(photos, away)
    try:
        yield
    finally:
        shutil.rmtree(photos, ignore_errors=True)
        shutil.move(away, photos)


def events(done: Finished, name: str) -> list[dict[str, Any]]:
    """The events of a name on standard output, each line of which must be an event."""
    read = [json.loads(line) for line in done.output.splitlines()]
    assert all(event["event"] and event["time"] for event in read)
    return [event for event in read if event["event"] == name]


def test_a_run_without_new_photos_computes_nothing_and_ends_well(runs: Project) -> None:
    done = runs.retrain(date="2026-03-02", log_format="json").check()
    first, second = runs.record("2026-03-01"), runs.record("2026-03-02")
    assert {stage for stage, new in runs.new("2026-03-02").items() if new} <= {"snapshot", "report"}
    same = ("snapshot", "bottleneck", "head", "evaluation", "champion", "metrics", "photos")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}
    assert (second["labels"], second["unreached"]) == ({"new": [], "gone": []}, None)
    (run_done,) = events(done, "run_done")
    assert {name: run_done[name] for name in same[-2:]} == {name: second[name] for name in same[-2:]}
    stages = events(done, "stage_done")
    assert [stage["stage"] for stage in stages] == ["snapshot", "drift", "report"]
    assert stages[0].items() >= {"key": second["snapshot"], "photos": PHOTOS, "run": second["run"]}.items()
    assert [stage["stage"] for stage in events(done, "stage_started")] == ["snapshot", "drift", "report"]


def test_a_run_without_its_folder_fails_and_keeps_everything(runs: Project) -> None:
    before = published(runs.root)
    with moved(runs.photos):
        done = runs.retrain_forked(date="2026-03-03", log_format="json")
    cause = f"The folder {runs.photos} could not be reached (No such file or directory)"
    assert_error(done, 52, cause, "the photos of 2026-03-02: --on-missing-source use-last")
    (error,) = events(done, "error")
    assert error.items() >= {"kind": "DatasetError", "exit_code": 52}.items()
    assert error["message"] in done.errors
    assert published(runs.root) == before


def test_a_run_may_use_the_last_photos_until_the_folder_is_back(runs: Project) -> None:
    today = {"on_missing_source": "use-last"}
    with moved(runs.photos):
        # A mount point whose disk is away.
        runs.photos.mkdir()
        done = runs.retrain_forked(**today).check()
        again = runs.retrain_forked(**today, log_format="json")
    sentence = "could not be reached (it holds no photo that can be read); the photos of 2026-03-02 were used."
    assert f"Source          The folder {runs.photos} {sentence}" in done.output
    (event,) = events(again, "nothing_to_do")
    assert sentence in event["text"]
    record = json.loads(Path(event["record"]).read_text())
    assert record["unreached"]["photos_of"] == "2026-03-02"
    assert record["snapshot"] == runs.record("2026-03-02")["snapshot"]
    assert sentence in Path(record["report"]).read_text()

    runs.retrain_forked(**today).check()
    record = json.loads(Path(event["record"]).read_text())
    assert record["unreached"] is None
    assert sentence not in Path(record["report"]).read_text()


def test_the_last_photos_cannot_be_used_if_no_store_has_them(runs: Project) -> None:
    with moved(runs.photos):
        done = runs.retrain_forked(date="2026-03-03", on_missing_source="use-last", image_size="80")
    assert "the photos of 2026-03-02 were used" in done.output
    assert_error(done, 52, "36 of 36 photos cannot be decoded (vanished 36), more than --max-rejected 0.05")


def test_a_run_in_which_half_the_photos_vanished_is_refused_and_keeps_everything(runs: Project) -> None:
    photos = sorted(runs.photos.glob("*/*.jpg"))
    before = published(runs.root)
    with moved(runs.photos):
        for photo in photos[PHOTOS // 2 :]:
            photo.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(runs.photos.with_name("away") / photo.relative_to(runs.photos), photo)
        done = runs.retrain_forked(date="2026-03-04")
    cause = "18 of the 36 photos of 2026-03-02 are gone ('daisy' 12, 'dandelion' 6), more than --max-shrink 0.2"
    assert_error(done, 52, cause)
    assert published(runs.root) == before


def test_a_stage_that_fails_leaves_champion_report_and_index_byte_for_byte(runs: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    before = published(runs.root)
    done = runs.retrain({"PYTHONPATH": str(tmp_path)}, date="2026-03-04", workers="2", log_format="json")
    assert done.code == 30
    assert "Traceback" in done.errors
    assert "a bug of ours" in done.errors
    (error,) = events(done, "error")
    assert error.items() >= {"kind": "ValueError", "exit_code": 30}.items()
    assert published(runs.root) == before


def test_new_and_gone_labels_are_named(runs: Project) -> None:
    draw(runs.photos, range(PHOTOS, PHOTOS + 24), labels=4)
    shutil.rmtree(runs.photos / "roses")
    done = runs.retrain_forked(date="2026-03-05", max_shrink="60 %", **LITTLE)
    assert done.code in (0, 58), done.errors
    assert runs.record("2026-03-05")["labels"] == {"new": ["sunflowers"], "gone": ["roses"]}
    assert "Labels          'sunflowers' new; 'roses' gone since the last run" in done.output


def test_a_run_of_a_past_date_leaves_the_champion_of_a_later_one(runs: Project) -> None:
    (champion,) = runs.root.glob("champion/*.json")
    before = champion.read_bytes()
    done = runs.retrain_forked(date="2026-02-01", seed="5", **LITTLE)
    assert done.code in (0, 58), done.errors
    assert champion.read_bytes() == before
    assert runs.record("2026-02-01")["labels"] == {"new": [], "gone": []}


def test_records_and_manifests_of_an_earlier_version_are_still_read(same_photos: Project) -> None:
    (record,) = same_photos.root.glob(f"runs/*/{Trained.DATE}-*.json")
    (manifest,) = same_photos.root.glob(f"snapshot/*/{Trained.DATE}.json")
    for path, kept in ((record, {}), (manifest, {"ignored": {"linked folder": 2}})):
        values = json.loads(path.read_text())
        inner = values if path == record else values["details"]
        for name in ("ignored", "ignored_examples", "folders_without_photos"):
            del inner[name]
        inner.update(kept)
        path.write_text(json.dumps(values))
    done = same_photos.retrain_forked(date=Trained.DATE)
    assert (done.code, done.errors) == (0, "")
    assert done.output.startswith("Nothing to do")
    status = ["status", *option_words(same_photos.options(date=Trained.DATE))]
    for words in (status, ["inspect", record], ["inspect", manifest]):
        told = verb(*words)
        assert (told.code, told.errors) == (0, "")
