"""Models of a run: the champion, worse ones, ones that are not good enough, and their exports."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.export.parity import allowed_disagreements
from tasks.runs.records import read_history
from tasks.storage.layout import DataRoot
from tests.export.exported import FILES, FORMATS
from tests.pipeline.command import Finished, Project, assert_error, verb

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "2026-03-01", "2026-03-02", "2026-03-03"
#: One step of gradient descent, far too short: the head knows next to nothing.
UNTRAINED = {"recipe": "classic", "steps": "1", "learning_rate": "0.00001"}
#: Size that the small backbone takes, so that an export decodes the same pixels as the pipeline.
SIZE = 16
LABELS = ("blue", "red")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Finished]:
    """The first run of a dataset, which exports its model."""
    project = Project.drawn(tmp_path_factory.mktemp("models"), 180)
    done = project.retrain_forked(date=FIRST, export="all", min_accuracy="0.5").check()
    return project, done


@pytest.fixture(scope="module")
def worse(trained: tuple[Project, Finished]) -> Finished:
    """A second run, whose model knows next to nothing."""
    return trained[0].retrain_forked(date=SECOND, **UNTRAINED)


def champion(project: Project) -> str:
    (path,) = project.root.glob("champion/*.json")
    return str(json.loads(path.read_text())["champion"])


def served(project: Project) -> Path:
    """The current version for model servers."""
    (current,) = project.root.glob("serving/*/current")
    return current.parent / current.readlink()


def test_the_first_model_is_champion_and_is_exported(trained: tuple[Project, Finished]) -> None:
    project, done = trained
    record = project.record(FIRST)
    assert record["champion"]["verdict"] == "first"
    assert champion(project) == record["head"]
    assert "Champion        First model of this dataset." in done.output
    version = served(project)
    assert f"Served from     {version}" in done.output
    assert sorted(path.name for path in version.iterdir()) == sorted([*FILES, "version.json"])
    assert json.loads((version / "version.json").read_text())["model"] == record["head"]
    agreement = {name: told["agreement"] for name, told in record["export"]["test"].items()}
    assert agreement == dict.fromkeys(FORMATS, pytest.approx(1, abs=0.1))


def test_files_of_an_exported_model_are_written_to_a_folder_that_is_new_or_empty(
    trained: tuple[Project, Finished], tmp_path: Path
) -> None:
    project, _ = trained
    record, folder = project.record(FIRST), tmp_path / "exported"
    done = verb("export", record["head"], folder, "--data-root", project.root).check()
    assert sorted(path.name for path in folder.iterdir()) == FILES == record["export"]["files"]
    assert done.output == f"{folder}: {', '.join(FILES)}\n"
    before = (folder / "photo_layers.py").stat()
    assert before.st_nlink == 1, "whoever edits it changes no other export"
    assert_error(verb("export", record["head"], folder, "--data-root", project.root), 2, "is no empty folder")
    assert (folder / "photo_layers.py").stat() == before
    assert_error(verb("export", "0" * 16, tmp_path / "no", "--data-root", project.root), 2, "is not the key of a head")


def test_a_worse_model_leaves_the_champion_ends_with_an_error_and_is_recorded_and_reported(
    trained: tuple[Project, Finished], worse: Finished
) -> None:
    project, _ = trained
    assert worse.code == 58
    assert champion(project) == project.record(FIRST)["head"]
    # TensorFlow may write lines of its own.
    (sentence,) = (line for line in worse.errors.splitlines() if "stays" in line)
    record = project.record(SECOND)
    dataset, model = record["dataset"]["name"], record["head"]
    assert f"python -m pipeline champion {dataset} --promote {model}" in sentence
    assert record["champion"]["verdict"] == "stays"
    assert record["champion"]["comparison"]["interval"]["high"] < 0
    assert Path(record["report"]).is_file()
    assert f"Report          {record['report']}" in worse.output
    assert [run.verdict for run in read_history(DataRoot(project.root), dataset).runs] == ["first", "stays"]

    again = project.retrain_forked(date=SECOND, **UNTRAINED)
    assert (again.code, again.output.startswith("Nothing to do")) == (0, True)
    assert "stays" in again.output


@pytest.mark.usefixtures("worse")
def test_a_model_below_the_least_accuracy_is_neither_exported_nor_champion_and_refused_each_time(
    trained: tuple[Project, Finished],
) -> None:
    project, _ = trained
    options = {**UNTRAINED, "date": THIRD, "export": "all", "min_accuracy": "0.9"}
    for _ in range(2):
        assert_error(project.retrain_forked(**options), 58, "below the 90.0% asked for")
        record = project.record(THIRD)
        assert (record["champion"]["verdict"], record["export"]) == ("refused", None)
        assert not DataRoot(project.root).export(record["head"]).exists()
        none = verb("export", record["head"], project.root / "no", "--data-root", project.root)
        assert_error(none, 1, f"The model {record['head']} has no export: its run had --export none")
        assert champion(project) == project.record(FIRST)["head"]


@pytest.mark.usefixtures("worse")
def test_a_person_and_runs_choose_the_champion_in_turn(trained: tuple[Project, Finished], tmp_path: Path) -> None:
    shutil.copytree(trained[0].root, tmp_path / "data", symlinks=True)
    project = Project(trained[0].photos, tmp_path / "data")
    first, second = (project.record(date)["head"] for date in (FIRST, SECOND))
    dataset = project.record(FIRST)["dataset"]["name"]

    def order(*words: str) -> str:
        return verb("champion", dataset, "--data-root", project.root, "--yes", *words).check().output

    assert f"version 1 is {first}, until a run or --promote {second} publishes" in order("--promote", second)
    # Since the promotion, an earlier date would be late.
    today = {"date": f"{dt.date.today()}", "label_gate": "false", "export": "all"}
    done = project.retrain_forked(**today).check()
    assert f"The new model takes the place of {second}" in done.output
    assert champion(project) == first
    assert f"Served from     {served(project)}" in done.output
    assert served(project).name == "1", "the newest version is the champion again"
    order("--rollback")
    assert champion(project) == second
    held = project.retrain_forked(**today, max_rejected="0.04").check()
    assert "a person rolled back from the new model, which only python -m pipeline champion --promote" in held.output
    assert f"Served          version 1 as before: the champion {second} has no export" in held.output
    (report,) = (line.split()[1] for line in held.output.splitlines() if line.startswith("Report "))
    assert f"A person rolled the champion back from {first} to {second}" in Path(report).read_text()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "photos", tmp_path / "data")


@pytest.fixture
def exporting(small: dict[str, str]) -> dict[str, str]:
    """The options of a run that exports a small model."""
    return {**small, "export": "all"}


def draw_two_labels(project: Project, count: int, colour: int, noise: int, **options: Any) -> None:
    """Draw photos of two labels, one more blue and one more red by `colour`, on noise of `noise` values."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(100, 100 + noise, (SIZE, SIZE, 3))
        pixels[..., 2 - 2 * (number % 2)] += colour
        path = project.photos / LABELS[number % 2] / f"{number:03d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path, **options)


def test_an_export_is_tested_on_photos_that_it_cannot_read_or_by_the_next_run_if_they_are_away(
    project: Project, tmp_path: Path, exporting: dict[str, str]
) -> None:
    draw_two_labels(project, 40, 90, 50, format="WEBP", lossless=True)
    project.retrain_forked(**{**exporting, "export": "none"}, date=FIRST).check()
    project.photos.rename(tmp_path / "away")
    away = project.retrain_forked(**exporting, date=SECOND, on_missing_source="use-last").check()
    assert "Export          not tested: saved_model, model.keras, since no test photo could be read (" in away.output
    record = project.record(SECOND)
    tested = record["export"]["test"]
    assert (tested["saved_model"]["photos"], tested["model.tflite"]["agreement"]) == (0, 1.0)
    assert "The export was not tested: saved_model, model.keras" in Path(record["report"]).read_text()
    card = DataRoot(project.root).export(record["head"]) / "README.md"
    assert "not tested" in card.read_text()

    (tmp_path / "away").rename(project.photos)
    back = project.retrain_forked(**exporting, date=THIRD).check()
    assert "not tested" not in back.output
    export = project.record(THIRD)["export"]
    tested = export["test"]["saved_model"]
    assert (tested["agreement"], tested["photos"]) == (1.0, export["converted"])
    assert "were converted to PNG" in card.read_text()
    assert project.new(THIRD)["export"] == tested["photos"]


def test_a_model_of_labels_that_are_hard_to_tell_apart_is_exported(project: Project, exporting: dict[str, str]) -> None:
    """In int8 and in float32 the model predicts other labels for many photos, neither of them better."""
    draw_two_labels(project, 300, 0, 8, format="PNG")
    project.retrain_forked(**{**exporting, "precision": "int8"}, date=FIRST).check()
    export = project.record(FIRST)["export"]
    assert export["refused"] is None
    served = export["test"]["saved_model"]
    assert served["agreement"] < 1 - allowed_disagreements(served["photos"], 0.99) / served["photos"], (
        "nothing to refuse"
    )
    assert "saved_model.pb" in export["files"]


def swapped_profile() -> bytes:
    """The profile of a colour space in which sRGB's red and blue are swapped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped: bytes = profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
    # A profile named sRGB is not converted.
    return swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def test_a_refused_export_leaves_a_report_and_a_record_and_ends_the_run_with_57_each_time(
    project: Project, exporting: dict[str, str]
) -> None:
    draw_two_labels(project, 60, 90, 50, format="JPEG", quality=95, icc_profile=swapped_profile())
    remedy = "Convert photos with colour profiles to sRGB"
    first = project.retrain_forked(**exporting, date=FIRST)
    assert_error(first, 57, "The export saved_model predicts another label than the model on ", remedy)
    assert "Export          refused, nothing was exported" in first.output
    assert "Served          nothing: the champion" in first.output
    record = project.record(FIRST)
    assert record["export"]["refused"] in first.errors
    assert record["champion"]["verdict"] == "first"
    report = Path(record["report"]).read_text()
    assert "<b>refused</b>" in report
    assert remedy in report
    folder = DataRoot(project.root).export(record["head"])
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "metrics.json"]

    for date in (FIRST, SECOND):
        assert_error(project.retrain_forked(**exporting, date=date), 57, record["export"]["refused"])
        assert project.record(date)["export"] == record["export"]
        assert project.new(date)["export"] == 0, "a refused export is not made again"
    project.retrain_forked(**{**exporting, "export": "none"}, date=SECOND).check()
