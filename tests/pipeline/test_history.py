"""`python -m pipeline history` on the records that nightly runs left."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from tasks.catalog import find_dataset
from tasks.storage.layout import DataRoot
from tests.support.data_root import keep, record


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data")


@pytest.fixture
def three(root: DataRoot) -> DataRoot:
    """Three nights, kept in an order other than that of their dates."""
    keep(root, record(root, "2026-11-21", champion={"verdict": "stays"}, photos=1300, head="b" * 16))
    keep(root, record(root, "2026-11-22", champion={"verdict": "refused"}, head="c" * 16))
    keep(root, record(root, "2026-11-20", champion={"verdict": "first"}, head="a" * 16))
    return root


def call(root: DataRoot, *arguments: object) -> Result:
    """Call the command in this process."""
    return CliRunner().invoke(app, ["history", "--data-root", str(root.path), *map(str, arguments)])


def test_nights_are_listed_with_the_newest_last(three: DataRoot) -> None:
    done = call(three, "flowers")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["flowers"],
        ["date", "photos", "new", "accuracy", "cross-val.", "champion", "s", "model"],
        ["2026-11-20", "1,200", "25", "90.0%", "(85.0-95.0)", "92.5%", "yes", "12", "a" * 16],
        ["2026-11-21", "1,300", "25", "90.0%", "(85.0-95.0)", "92.5%", "no", "12", "b" * 16],
        ["2026-11-22", "1,200", "25", "90.0%", "(85.0-95.0)", "92.5%", "refused", "12", "c" * 16],
    ]


@pytest.mark.parametrize(
    ("verdict", "word"), [("first", "yes"), ("new", "yes"), ("same", "yes"), ("stays", "no"), ("refused", "refused")]
)
def test_each_verdict_says_whether_the_model_was_champion(root: DataRoot, verdict: str, word: str) -> None:
    keep(root, record(root, "2026-11-20", champion={"verdict": verdict}))
    assert call(root).stdout.splitlines()[-1].split()[-3] == word


def test_a_record_of_an_earlier_version_shows_a_dash(root: DataRoot) -> None:
    old = record(root, "2026-11-20")
    old["metrics"]["cross_validation"] = None
    del old["champion"]
    keep(root, old)
    assert call(root).stdout.splitlines()[-1].split()[5:7] == ["-", "-"]


def test_limit_lists_the_newest_alone(three: DataRoot) -> None:
    done = call(three, "flowers", "--limit", 2)
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["2026-11-21", "2026-11-22"]


def test_json_has_raw_numbers(three: DataRoot) -> None:
    done = call(three, "--json", "--limit", 1)
    (night,) = json.loads(done.stdout)
    assert night == {
        "date": "2026-11-22",
        "finished": "2026-11-22T03:00:00+00:00",
        "photos": 1200,
        "new": 25,
        "rejected": 3,
        "test_photos": 120,
        "accuracy": 0.9,
        "low": 0.85,
        "high": 0.95,
        "cross_validated": 0.925,
        "verdict": "refused",
        "seconds": 12.5,
        "model": "c" * 16,
        "snapshot": "snap",
        "report": str(three.report("of-2026-11-22") / "report.html"),
        "record": str(three.runs("flowers") / "2026-11-22-aaaaaaaa.json"),
        "parameters": {"views": "2"},
    }


def test_of_several_datasets_all_are_named_unless_one_is_asked_for(three: DataRoot) -> None:
    keep(three, record(three, "2026-11-19"), "asters")
    assert [line.split() for line in call(three).stdout.splitlines()[2:]] == [
        ["asters", "1", "2026-11-19"],
        ["flowers", "3", "2026-11-22"],
    ]
    assert json.loads(call(three, "--json").stdout)[0] == {"dataset": "asters", "runs": 1, "newest": "2026-11-19"}
    assert len(call(three, "asters").stdout.splitlines()) == 3


def test_a_folder_of_photos_names_its_dataset(root: DataRoot, tmp_path: Path) -> None:
    photos = tmp_path / "My photos"
    photos.mkdir()
    name = find_dataset(str(photos), 0).name
    keep(root, record(root, "2026-11-20"), name)
    keep(root, record(root, "2026-11-20"), "another")
    assert call(root, photos).stdout.splitlines()[0] == name


def test_the_sample_is_found_whatever_its_number_of_photos(root: DataRoot) -> None:
    keep(root, record(root, "2026-11-20"), "sample-60")
    keep(root, record(root, "2026-11-20"), "sample-of-mine")
    assert call(root, "sample").stdout.splitlines()[0] == "sample-60"


def test_a_damaged_record_is_named_and_the_others_are_listed(three: DataRoot) -> None:
    damaged = three.runs("flowers") / "2026-11-21-aaaaaaaa.json"
    damaged.write_text("{")
    done = call(three, "flowers")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{damaged} is damaged")
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["2026-11-20", "2026-11-22"]


def test_json_is_a_list_even_where_every_record_is_damaged(root: DataRoot) -> None:
    keep(root, record(root, "2026-11-20")).write_text("{")
    done = call(root, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (1, [])


def test_a_dataset_without_runs_is_an_error_that_names_those_that_have(three: DataRoot) -> None:
    done = call(three, "tulips")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"'tulips' has no runs in {three.path}. Datasets that have: flowers.\n"


def test_without_any_run_it_says_how_to_start_one(root: DataRoot) -> None:
    root.path.mkdir()
    done = call(root)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "luigi --module pipeline RetrainFlowers" in done.stderr
