"""Given splits in a whole run by the real command: folders of splits, an archive of two, and the next night."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tasks.evaluate.predictions import read_predictions
from tasks.snapshot.splits import assign_splits
from tests.pipeline.command import Project, assert_error, verb

pytestmark = pytest.mark.slow

DATE, NEXT = "2026-03-01", "2026-03-02"


def move_into_splits(photos: Path, names: dict[str, str]) -> None:
    """Move photos into folders of splits; `names` has the folder of each split that the hash draws."""
    rows = {f"{path.relative_to(photos)}": path for path in sorted(photos.glob("*/*.jpg"))}
    keys = [hashlib.sha256(path.read_bytes()).hexdigest() for path in rows.values()]
    splits = assign_splits(keys, [path.parent.name for path in rows.values()])
    for (name, path), split in zip(rows.items(), splits.names, strict=True):
        (photos / names[split] / name).parent.mkdir(parents=True, exist_ok=True)
        path.rename(photos / names[split] / name)
    for folder in {path.parent for path in rows.values()}:
        folder.rmdir()


def arrays(project: Project, date: str) -> dict[str, bytes]:
    """The arrays of the head of a date, by name."""
    with np.load(project.root / "train" / project.record(date)["head"] / "head.npz") as head:
        return {name: head[name].tobytes() for name in head.files}


def test_the_drawn_splits_given_by_folders_give_the_same_head_and_test_figures(tmp_path: Path) -> None:
    project = Project.drawn(tmp_path, 60)
    assert project.retrain_forked(date=DATE).code == 0
    move_into_splits(project.photos, {"train": "train", "validation": "val", "test": "test"})
    done = project.retrain_forked(date=NEXT)
    assert done.code == 0, done.errors
    before, after = project.record(DATE), project.record(NEXT)
    assert [project.new(NEXT)[stage] for stage in ("decode", "bottleneck")] == [0, 0]
    assert arrays(project, DATE) == arrays(project, NEXT)
    assert after["metrics"]["test"] == before["metrics"]["test"]
    photos, test = after["photos"], after["metrics"]["test"]["photos"]
    assert after["metrics"]["cross_validation"]["photos"] == photos - test
    lines = done.output.splitlines()
    assert any(line.startswith("Splits          as the dataset gives them (train ") for line in lines)
    assert any(line.startswith("Test accuracy ") and line.endswith("of the given split test") for line in lines)
    assert f"over the {photos - test} photos of train and validation, 2 folds" in done.output
    table = read_predictions(project.root / "evaluate" / after["stages"]["evaluate"]["key"])
    assert table["cross_validated"].null_count == test
    assert pc.all(pc.equal(pc.is_null(table["cross_validated"]), pc.equal(table["split"], "test"))).as_py()
    assert "of the given split test" in Path(after["report"]).read_text()
    audited = verb("audit", "--data-root", project.root, "--worst", 60, "--json")
    assert audited.output.count('"path": "test/') == test
    assert "on the given split" in verb("champion", project.photos, "--data-root", project.root).output
    refused = project.retrain_forked(date="2026-03-03", folds="10")
    assert_error(refused, 51, "in 10 folds is not possible where the dataset gives the test split")


def test_the_classic_archive_of_two_splits_tests_on_its_validation_photos(tmp_path: Path) -> None:
    project = Project.drawn(tmp_path, 60)
    move_into_splits(project.photos, {"train": "train", "validation": "train", "test": "validation"})
    # A label that the test split lacks, and a photo in both splits.
    label = sorted(folder.name for folder in (project.photos / "train").iterdir())[0]
    shutil.rmtree(project.photos / "validation" / label)
    photo = next((project.photos / "validation").glob("*/*.jpg"))
    shutil.copy(photo, project.photos / "train" / photo.parent.name / "again.jpg")
    wrapped = tmp_path / "files" / "flowers_filtered"
    wrapped.parent.mkdir()
    project.photos.rename(wrapped)
    (wrapped / "vectorize.py").write_text("import os\n")
    archive = shutil.make_archive(str(tmp_path / "flowers"), "zip", tmp_path / "files")
    done = project.retrain_forked(date=DATE, dataset=archive)
    assert done.code == 0, done.errors
    assert "its validation split is the test split; validation is drawn from train; 1 photo is in" in done.output
    assert "of the given split validation" in done.output


def test_a_network_is_fine_tuned_on_the_given_training_photos_and_tested_on_the_given_test_photos(
    tmp_path: Path,
) -> None:
    project = Project.drawn(tmp_path, 30)
    move_into_splits(project.photos, {"train": "train", "validation": "val", "test": "test"})
    done = project.retrain_forked(date=DATE, train="finetune", batch_size="4", epochs="1", image_size="48", folds="10")
    assert done.code == 0, done.errors
    record = project.record(DATE)
    table = read_predictions(project.root / "evaluate" / record["evaluation"])
    assert [row["path"].partition("/")[0] for row in table.to_pylist()] == [
        {"validation": "val"}.get(split, split) for split in table["split"].to_pylist()
    ]
    assert f"on {record['metrics']['test']['photos']} photos of the given split test" in done.output
