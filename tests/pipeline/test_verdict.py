"""What a run comes to beside the champion: the first model, a worse one, one that is not good enough."""

import json
from pathlib import Path

import pytest

from tasks.runs.records import read_history
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, Project, draw

DATE = "2026-03-01"
#: One step of gradient descent, far too short: the head knows next to nothing.
UNTRAINED = {"recipe": "classic", "steps": "1", "learning_rate": "0.00001"}
EXPORTED = {
    "README.md",
    "labels.txt",
    "manifest.json",
    "metrics.json",
    "model-int8.tflite",
    "model.keras",
    "model.tflite",
    "photo_layers.py",
    "saved_model",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    draw(folder / "photos", range(180))
    return Project(folder / "photos", folder / "data")


@pytest.fixture(scope="module")
def first(project: Project) -> Finished:
    """The first run, which exports its model."""
    done = project.retrain_forked(date=DATE, export="all", min_accuracy="0.5")
    assert done.code == 0, done.errors
    return done


@pytest.fixture(scope="module")
def worse(project: Project, first: Finished) -> Finished:
    """A run whose model knows next to nothing."""
    assert first.code == 0
    return project.retrain_forked(date="2026-03-02", **UNTRAINED)


def champion(project: Project) -> str:
    (path,) = project.root.glob("champion/*.json")
    return str(json.loads(path.read_text())["champion"])


def test_first_model_is_champion_and_the_last_lines_say_so(project: Project, first: Finished) -> None:
    record = project.record(DATE)
    assert record["champion"]["verdict"] == "first"
    assert champion(project) == record["head"]
    assert "Champion        First model of this dataset." in first.output


def test_model_is_exported_and_the_record_tells_how_each_file_agrees(project: Project, first: Finished) -> None:
    record = project.record(DATE)
    folder = DataRoot(project.root).export(record["head"])
    assert {path.name for path in folder.iterdir()} == EXPORTED
    assert f"Exported to     {folder}" in first.output
    assert {name: told["agreement"] for name, told in record["export"]["test"].items()} == {
        "saved_model": pytest.approx(1, abs=0.1),
        "model.keras": pytest.approx(1, abs=0.1),
        "model.tflite": pytest.approx(1, abs=0.1),
        "model-int8.tflite": pytest.approx(1, abs=0.1),
    }


def test_worse_model_leaves_the_champion_and_ends_with_an_error(project: Project, worse: Finished) -> None:
    assert worse.code == 58
    assert champion(project) == project.record(DATE)["head"]
    # TensorFlow may have lines of its own there.
    (sentence,) = (line for line in worse.errors.splitlines() if "stays" in line)
    assert "python -m pipeline forget champion" in sentence


def test_worse_model_is_recorded_and_reported_all_the_same(project: Project, worse: Finished) -> None:
    record = project.record("2026-03-02")
    assert record["champion"]["verdict"] == "stays"
    assert record["champion"]["comparison"]["interval"]["high"] < 0
    assert Path(record["report"]).is_file()
    assert f"Report          {record['report']}" in worse.output
    (dataset,) = (path.name for path in project.root.glob("runs/*"))
    assert [night.verdict for night in read_history(DataRoot(project.root), dataset).runs] == ["first", "stays"]


@pytest.mark.usefixtures("worse")
def test_the_same_run_again_has_nothing_to_do_and_says_what_became_of_its_model(project: Project) -> None:
    again = project.retrain_forked(date="2026-03-02", **UNTRAINED)
    assert again.code == 0
    assert again.output.startswith("Nothing to do")
    assert "stays" in again.output


@pytest.mark.usefixtures("worse")
def test_model_below_the_accuracy_asked_for_is_neither_exported_nor_champion(project: Project) -> None:
    options = {**UNTRAINED, "date": "2026-03-03", "export": "all", "min_accuracy": "0.9"}
    refused = project.retrain_forked(**options)
    assert refused.code == 58
    assert "below the 90.0% asked for" in refused.errors
    record = project.record("2026-03-03")
    assert (record["champion"]["verdict"], record["export"]) == ("refused", None)
    assert not DataRoot(project.root).export(record["head"]).exists()
    assert champion(project) == project.record(DATE)["head"]
    # Unlike a model that is merely worse, it is refused each time.
    assert project.retrain_forked(**options).code == 58
