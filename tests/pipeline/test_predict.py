"""`python -m pipeline predict` and PredictFolder."""

import csv
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.storage.files import publish_json, read_json
from tests.pipeline.command import Finished, assert_error, luigi, verb
from tests.pipeline.test_cli import IMPORTS
from tests.predict.trained import COUNT, Trained, Way, draw, train
from tests.support.processes import run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A head in int8, which needs no TensorFlow to predict, and its photos."""
    trained = train(tmp_path_factory.mktemp("predict"), Way("int8"))
    publish_json(trained.root.champion("flowers"), {"champion": trained.folder.name})
    return trained


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number in range(3):
        draw(folder / f"{number}.jpg", number)
    (folder / "broken.jpg").write_text("no photo")
    return folder


def predict(trained: Trained, *arguments: object) -> Finished:
    return verb("predict", "--data-root", trained.root.path, *arguments)


def test_table_has_a_line_for_each_photo(trained: Trained, photos: Path) -> None:
    done = predict(trained, "flowers", photos, "--top", "2")
    assert done.code == 1, done.output
    heading, *lines = done.output.splitlines()
    assert heading.split() == ["Photo", "Predicted", "Probability", "Then", "Problem"]
    assert [line.split()[0] for line in lines] == [f"{photos}/{name}.jpg" for name in ("0", "1", "2", "broken")]
    assert lines[-1].split()[1:] == ["-", "-", "-", "unknown", "format"]
    assert f"{photos}/broken.jpg: Its content is no photo" in done.errors
    assert "1 of 4 photos could not be read." in done.errors


@pytest.fixture
def strict(trained: Trained, tmp_path: Path) -> Trained:
    """The same model with a threshold that every photo exceeds."""
    shutil.copytree(trained.root.path, tmp_path / "data", symlinks=True)
    root = replace(trained.root, path=tmp_path / "data")
    file = root.train(trained.folder.name) / "head.json"
    facts = read_json(file)
    publish_json(file, {**facts, "novelty": {**facts["novelty"], "threshold": -1e9}})
    return replace(trained, root=root, folder=file.parent)


def test_unknown_photos_are_marked_in_every_format_and_counted(strict: Trained, photos: Path, tmp_path: Path) -> None:
    table = predict(strict, "flowers", photos / "0.jpg").output
    assert re.search(r"unknown \((blue|red)\)", table)
    rows = list(csv.DictReader(io.StringIO(predict(strict, "flowers", photos, "--format", "csv").output)))
    assert [row["unknown"] for row in rows] == ["true", "true", "true", ""]
    objects = json.loads(predict(strict, "flowers", photos, "--format", "json").output)
    assert [each["unknown"] for each in objects] == [True, True, True, None]
    assert [str(each["novelty"]) for each in objects[:3]] == [row["novelty"] for row in rows[:3]]
    predict(strict, "flowers", photos, "--output", tmp_path / "out.parquet")
    read = pq.read_table(tmp_path / "out.parquet")
    assert read["unknown"].to_pylist() == [True, True, True, None]
    assert read["novelty"].null_count == 1
    assert "Unknown      3 of 3 photos: unlike the training photos" in predict_folder(strict, folder=photos).output


def test_model_without_a_threshold_calls_no_photo_unknown(trained: Trained, photos: Path) -> None:
    """Its four test photos are too few for one."""
    objects = json.loads(predict(trained, "flowers", photos, "--format", "json").output)
    assert [(each["novelty"], each["unknown"]) for each in objects] == [(None, None)] * 4
    assert "Unknown" not in predict_folder(trained, folder=photos).output


def test_exit_code_is_0_if_every_photo_was_read(trained: Trained, photos: Path) -> None:
    done = predict(trained, trained.folder, photos / "0.jpg", photos / "1.jpg")
    assert (done.code, done.errors) == (0, "")
    assert done.output.splitlines()[0].split() == ["Photo", "Predicted", "Probability"]
    assert done.output.count("\n") == 3


def test_csv_and_json_are_all_that_is_written(trained: Trained, photos: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(predict(trained, "flowers", photos, "--format", "csv").output)))
    objects = json.loads(predict(trained, "flowers", photos, "--format", "json", "--top", "9").output)
    for name in ("path", "predicted"):
        assert [row[name] or None for row in rows] == [row[name] for row in objects]
    assert set(objects[0]["probabilities"]) == {"blue", "red"}
    assert rows[-1]["reason"] == "unknown_format"


def test_output_s_ending_is_its_format(trained: Trained, photos: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.json", "out.parquet"):
        done = predict(trained, "flowers", photos, "--output", tmp_path / name)
        assert done.output.splitlines()[-1] == f"4 photos, 1 of them unreadable: {tmp_path / name}"
        assert done.code == 1
    assert (tmp_path / "out.csv").read_text().startswith("path,predicted,probability,")
    assert len(json.loads((tmp_path / "out.json").read_text())) == 4
    assert pq.read_table(tmp_path / "out.parquet")["predicted"].null_count == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--output", "out.txt"], "does not end in .csv"),
        (["--format", "parquet"], "parquet needs a file"),
        (["--format", "table", "--output", "out.csv"], "A table is for reading"),
        (["--top", "0"], "--top"),
    ],
)
def test_options_that_do_not_go_together_are_errors_of_usage(
    trained: Trained, photos: Path, options: list[str], told: str
) -> None:
    assert_error(predict(trained, "flowers", photos, *options), 2, told)


def test_a_failure_is_one_sentence(trained: Trained, photos: Path, tmp_path: Path) -> None:
    for name in ("notes/notes.txt", "raw/a.CR2"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    unfinished = tmp_path / "train" / trained.folder.name
    shutil.copytree(trained.folder, unfinished)
    (unfinished / "manifest.json").unlink()
    cases: list[tuple[list[object], str]] = [
        (["flowers", photos, "--output", photos / "0.jpg" / "out.csv"], "out.csv cannot be written"),
        (["flowers", tmp_path / "notes"], f"There are no photos in {tmp_path}/notes; left out: not a photo 1."),
        (["flowers", tmp_path / "raw"], f"Ignored: 1 raw photo (convert to JPEG): {tmp_path}/raw/a.CR2."),
        ([unfinished, trained.photos], f"The training in {unfinished} has not ended."),
    ]
    for words, sentence in cases:
        assert_error(predict(trained, *words), 1, sentence)


def test_ignored_files_are_named_on_standard_error(trained: Trained, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").unlink()
    for name in ("raw/a.NEF", "raw/b.dng", "notes.txt", "@eaDir/0.jpg/SYNOFILE_THUMB_M.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).touch()
    told = [
        f"Ignored: 2 raw photos (convert to JPEG): {photos}/raw/a.NEF, {photos}/raw/b.dng",
        f"No photo: {photos}/raw/ has 2 files, none of them a photo that is read here (2 raw photos)",
    ]
    for options in ([], ["--format", "json"], ["--output", tmp_path / "out.csv"]):
        done = predict(trained, "flowers", photos, *options)
        assert done.code == 0
        assert [line for line in done.errors.splitlines() if line.startswith(("Ignored", "No photo"))] == told
        assert "NEF" not in done.output


def test_model_that_does_not_exist_is_an_error_of_usage(trained: Trained) -> None:
    assert_error(predict(trained, "roses", trained.photos), 2, "MODEL")


def predict_folder(trained: Trained, **options: object) -> Finished:
    given = {"data-root": str(trained.root.path), "model": "flowers", **{name: str(of) for name, of in options.items()}}
    return luigi("PredictFolder", given)


def test_job_predicts_a_folder_has_nothing_to_do_and_then_predicts_only_a_new_photo(
    trained: Trained, photos: Path
) -> None:
    first = predict_folder(trained, folder=photos)
    assert (first.code, first.errors) == (0, "")
    assert "Photos       3 predicted; 1 unreadable (unknown_format 1)" in first.output
    path = Path(first.output.splitlines()[-1].split(maxsplit=1)[1])
    assert pq.read_table(path)["path"].to_pylist() == ["0.jpg", "1.jpg", "2.jpg", "broken.jpg"]
    (photos / "raw").mkdir()
    (photos / "raw" / "a.NEF").touch()
    again = predict_folder(trained, folder=photos)
    assert "Ignored      1 raw photo (convert to JPEG): raw/a.NEF\nNo photo     raw/ has 1 file, none" in again.output
    assert (again.code, again.output.startswith("Nothing to do: ")) == (0, True)
    assert again.output.splitlines()[-1] == first.output.splitlines()[-1]
    draw(photos / "new.jpg", 7)
    third = predict_folder(trained, folder=photos, workers=2).check()
    assert third.output.split()[:5] == ["predict", "1", "new", "3", "reused"]
    assert third.output.splitlines()[-1] != first.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ({"model": "roses"}, 57, "the name of a dataset that has a champion"),
        ({"folder": "/nowhere"}, 52, "There is no folder of photos at /nowhere"),
    ],
)
def test_job_that_cannot_be_done_ends_with_a_sentence(
    trained: Trained, options: dict[str, object], code: int, sentence: str
) -> None:
    assert_error(predict_folder(trained, **{"folder": trained.photos, **options}), code, sentence)


def test_predicting_in_int8_imports_nothing_heavy(trained: Trained) -> None:
    words = ["predict", "flowers", trained.photos, "--data-root", trained.root.path]
    lines = run([sys.executable, "-c", IMPORTS, *words]).output.splitlines()
    assert (len(lines), lines[-1]) == (COUNT + 2, "imported")
