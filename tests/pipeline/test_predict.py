"""`python -m pipeline predict` and PredictFolder, as a person starts them."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tasks.storage.files import publish_json
from tests.pipeline.command import Finished, luigi
from tests.predict.trained import COUNT, Trained, Way, draw, train
from tests.support.repository import REPOSITORY


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A head in int8, which needs no TensorFlow to predict, and its photos."""
    trained = train(tmp_path_factory.mktemp("predict"), Way("int8"))
    publish_json(trained.root.champion("flowers"), {"champion": trained.folder.name})
    return trained


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos and one file that is none."""
    folder = tmp_path / "in"
    for number in range(3):
        draw(folder / f"{number}.jpg", number)
    (folder / "broken.jpg").write_text("no photo")
    return folder


def call(trained: Trained, *arguments: object) -> Result:
    """Call the command in this process."""
    words = ["predict", "--data-root", trained.root.path, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def test_table_has_a_line_for_each_photo(trained: Trained, photos: Path) -> None:
    done = call(trained, "flowers", photos, "--top", "2")
    assert done.exit_code == 1, done.output
    heading, *lines = done.stdout.splitlines()
    assert heading.split() == ["Photo", "Predicted", "Probability", "Then", "Problem"]
    assert [line.split()[0] for line in lines] == [f"{photos}/{name}.jpg" for name in ("0", "1", "2", "broken")]
    assert lines[-1].split()[1:] == ["-", "-", "-", "unknown", "format"]
    assert f"{photos}/broken.jpg: Its content is no photo" in done.stderr
    assert "1 of 4 photos could not be read." in done.stderr


def test_exit_code_is_0_where_every_photo_was_read(trained: Trained, photos: Path) -> None:
    done = call(trained, trained.folder, photos / "0.jpg", photos / "1.jpg")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["Photo", "Predicted", "Probability"]
    assert done.stdout.count("\n") == 3


def test_standard_output_is_csv_or_json_and_nothing_else(trained: Trained, photos: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call(trained, "flowers", photos, "--format", "csv").stdout)))
    objects = json.loads(call(trained, "flowers", photos, "--format", "json", "--top", "9").stdout)
    assert [row["path"] for row in rows] == [row["path"] for row in objects]
    assert [row["predicted"] or None for row in rows] == [row["predicted"] for row in objects]
    assert set(objects[0]["probabilities"]) == {"blue", "red"}
    assert rows[-1]["reason"] == "unknown_format"


def test_output_s_ending_is_its_format(trained: Trained, photos: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.json", "out.parquet"):
        done = call(trained, "flowers", photos, "--output", tmp_path / name)
        assert done.stdout.splitlines()[-1] == f"4 photos, 1 of them unreadable: {tmp_path / name}"
        assert done.exit_code == 1
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
    done = call(trained, "flowers", photos, *options)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())


def test_output_that_cannot_be_written_is_told_of(trained: Trained, photos: Path) -> None:
    done = call(trained, "flowers", photos, "--output", photos / "0.jpg" / "out.csv")
    assert done.exit_code == 1
    assert "out.csv cannot be written" in done.stderr
    assert "Traceback" not in done.output


def test_folder_without_photos_is_an_error(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    done = call(trained, "flowers", tmp_path)
    assert done.exit_code == 1
    assert f"There are no photos in {tmp_path}; left out: not a photo 1." in done.stderr


def test_files_that_are_ignored_are_told_apart_from_the_rows(trained: Trained, photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").unlink()
    for name in ("raw/a.NEF", "raw/b.dng", "notes.txt", "@eaDir/0.jpg/SYNOFILE_THUMB_M.jpg"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).touch()
    told = [
        f"Ignored: 2 raw photos (convert to JPEG): {photos}/raw/a.NEF, {photos}/raw/b.dng",
        f"No photo: {photos}/raw/ has 2 files, none of them a photo that is read here (2 raw photos)",
    ]
    for options in ([], ["--format", "json"], ["--output", tmp_path / "out.csv"]):
        done = call(trained, "flowers", photos, *options)
        assert done.exit_code == 0
        assert [line for line in done.stderr.splitlines() if line.startswith(("Ignored", "No photo"))] == told
        assert "NEF" not in done.stdout


def test_a_folder_of_raw_photos_only_is_an_error_that_names_them(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "a.CR2").touch()
    done = call(trained, "flowers", tmp_path)
    assert done.exit_code == 1
    assert f"Ignored: 1 raw photo (convert to JPEG): {tmp_path}/a.CR2." in done.stderr


def test_model_that_does_not_exist_is_an_error_of_usage(trained: Trained) -> None:
    done = call(trained, "roses", trained.photos)
    assert (done.exit_code, "MODEL" in done.stderr) == (2, True)


def test_training_that_has_not_ended_is_its_sentence_without_a_traceback(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "train" / trained.folder.name
    shutil.copytree(trained.folder, folder)
    (folder / "manifest.json").unlink()
    done = call(trained, folder, trained.photos)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"The training in {folder} has not ended.")


def predict_folder(trained: Trained, **options: object) -> Finished:
    """Run the job by luigi's own command."""
    given = {"data-root": str(trained.root.path), "model": "flowers", **{name: str(of) for name, of in options.items()}}
    return luigi("PredictFolder", given)


def test_job_predicts_a_folder_then_has_nothing_to_do_then_only_the_new_photo(trained: Trained, photos: Path) -> None:
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
    third = predict_folder(trained, folder=photos, workers=2)
    assert third.code == 0, third.errors
    assert third.output.split()[:5] == ["predict", "1", "new", "3", "reused"]
    assert third.output.splitlines()[-1] != first.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ({"model": "roses"}, 57, "the name of a dataset that has a champion"),
        ({"folder": "/nowhere"}, 52, "There is no folder of photos at /nowhere"),
    ],
)
def test_job_that_cannot_be_done_ends_with_a_sentence(
    trained: Trained, options: dict[str, object], code: int, told: str
) -> None:
    done = predict_folder(trained, **{"folder": trained.photos, **options})
    assert done.code == code
    assert told in done.errors
    assert "Traceback" not in done.errors


def test_predicting_in_int8_loads_no_tensorflow(trained: Trained) -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from pipeline.cli.app import app; "
        f"done = CliRunner().invoke(app, ['predict', 'flowers', {str(trained.photos)!r}, '--data-root', "
        f"{str(trained.root.path)!r}]); print(done.stdout.count('\\n'), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(COUNT + 1), "False"]
