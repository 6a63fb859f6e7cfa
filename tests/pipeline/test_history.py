"""`python -m pipeline history`: the runs of a dataset, from their records."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.catalog import find_dataset
from tasks.champion.champion_file import ChampionOrder, publish_champion
from tasks.storage.layout import DataRoot
from tests.pipeline.command import Finished, verb
from tests.support.data_root import DATASET, first_champion, keep, record, stage


@pytest.fixture
def three(root: DataRoot) -> DataRoot:
    """Three runs, recorded in another order than that of their dates."""
    keep(root, record(root, "2026-11-21", champion={"verdict": "stays"}, photos=1300, head="b" * 16))
    keep(root, record(root, "2026-11-22", champion={"verdict": "refused"}, head="c" * 16))
    keep(root, record(root, "2026-11-20", champion={"verdict": "first"}, head="a" * 16))
    return root


def history(root: DataRoot, *arguments: object) -> Finished:
    return verb("history", "--data-root", root.path, *arguments)


def dates(done: Finished) -> list[str]:
    return [line.split()[0] for line in done.output.splitlines()[2:]]


def test_runs_are_listed_with_the_newest_last(three: DataRoot) -> None:
    done = history(three, "flowers")
    assert (done.code, done.errors) == (0, "")
    assert [line.split() for line in done.output.splitlines()] == [
        ["flowers"],
        ["date", "photos", "new", "accuracy", "distinct", "cross-val.", "champion", "s", "model"],
        ["2026-11-20", "1,200", "25", "90.0%", "(85.0-95.0)", "-", "92.5%", "yes", "12", "a" * 16],
        ["2026-11-21", "1,300", "25", "90.0%", "(85.0-95.0)", "-", "92.5%", "no", "12", "b" * 16],
        ["2026-11-22", "1,200", "25", "90.0%", "(85.0-95.0)", "-", "92.5%", "refused", "12", "c" * 16],
    ]
    assert dates(history(three, "flowers", "--limit", 2)) == ["2026-11-21", "2026-11-22"]


@pytest.mark.parametrize("verdict", ["new", "same"])
def test_a_run_whose_model_became_or_stayed_champion_says_so(root: DataRoot, verdict: str) -> None:
    keep(root, record(root, "2026-11-20", champion={"verdict": verdict}))
    assert history(root).output.splitlines()[-1].split()[-3] == "yes"


def test_a_record_of_an_earlier_version_shows_a_dash(root: DataRoot) -> None:
    old = record(root, "2026-11-20")
    old["metrics"]["cross_validation"] = None
    del old["champion"]
    keep(root, old)
    assert history(root).output.splitlines()[-1].split()[5:8] == ["-", "-", "-"]


def test_the_accuracy_without_near_duplicates_is_shown_where_it_differs(root: DataRoot) -> None:
    for day, accuracy in (("2026-11-20", 0.862), ("2026-11-21", 0.90001), ("2026-11-22", None)):
        run = record(root, day)
        without = {"left_out": 7, "photos": 113, "accuracy": accuracy, "interval": None}
        run["metrics"]["test_without_near_duplicates"] = without
        keep(root, run)
    assert [line.split()[5] for line in history(root).output.splitlines()[2:]] == ["86.2%", "-", "-"]
    assert [run["distinct_accuracy"] for run in json.loads(history(root, "--json").output)] == [0.862, None, None]


def test_the_split_that_the_dataset_gives_stands_beside_the_accuracy(root: DataRoot) -> None:
    run = record(root, "2026-11-20")
    run["stages"]["snapshot"] = {**stage("s", 0), "details": {"given_splits": {"test": "validation"}}}
    keep(root, run)
    assert "90.0% (85.0-95.0) on validation" in history(root).output
    assert [run["given_test"] for run in json.loads(history(root, "--json").output)] == ["validation"]


def test_json_has_raw_numbers(three: DataRoot) -> None:
    (run,) = json.loads(history(three, "--json", "--limit", 1).output)
    assert run == {
        "date": "2026-11-22",
        "finished": "2026-11-22T03:00:00+00:00",
        "photos": 1200,
        "new": 25,
        "rejected": 3,
        "test_photos": 120,
        "accuracy": 0.9,
        "low": 0.85,
        "high": 0.95,
        "distinct_accuracy": None,
        "cross_validated": 0.925,
        "given_test": None,
        "verdict": "refused",
        "drift": [],
        "seconds": 12.5,
        "model": "c" * 16,
        "snapshot": "snap",
        "report": str(three.report("of-2026-11-22") / "report.html"),
        "record": str(three.runs("flowers") / "2026-11-22-aaaaaaaa.json"),
        "parameters": {"views": "2"},
    }


def test_of_several_datasets_all_are_named_unless_one_is_asked_for(three: DataRoot) -> None:
    keep(three, record(three, "2026-11-19"), "asters")
    assert [line.split() for line in history(three).output.splitlines()[2:]] == [
        ["asters", "1", "2026-11-19"],
        ["flowers", "3", "2026-11-22"],
    ]
    assert json.loads(history(three, "--json").output)[0] == {"dataset": "asters", "runs": 1, "newest": "2026-11-19"}
    assert dates(history(three, "asters")) == ["2026-11-19"]


def test_a_dataset_is_named_by_its_folder_and_the_sample_without_its_number_of_photos(
    root: DataRoot, tmp_path: Path
) -> None:
    photos = tmp_path / "My photos"
    photos.mkdir()
    name = find_dataset(str(photos), 0).name
    for dataset in (name, "another", "sample-60", "sample-of-mine"):
        keep(root, record(root, "2026-11-20"), dataset)
    assert history(root, photos).output.splitlines()[0] == name
    assert history(root, "sample").output.splitlines()[0] == "sample-60"


def test_a_damaged_record_is_named_and_the_others_are_listed(three: DataRoot) -> None:
    damaged = three.runs("flowers") / "2026-11-21-aaaaaaaa.json"
    damaged.write_text("{")
    done = history(three, "flowers")
    assert done.code == 1
    assert done.errors.startswith(f"{damaged} is damaged")
    assert dates(done) == ["2026-11-20", "2026-11-22"]


def test_json_is_a_list_even_if_every_record_is_damaged(root: DataRoot) -> None:
    keep(root, record(root, "2026-11-20")).write_text("{")
    done = history(root, "--json")
    assert (done.code, json.loads(done.output)) == (1, [])


def test_a_dataset_without_runs_is_an_error_that_names_those_that_have_some(three: DataRoot) -> None:
    done = history(three, "tulips")
    expected = f"'tulips' has no runs in {three.path}. Datasets that have: flowers.\n"
    assert done == Finished(1, "", expected)


def test_without_any_run_it_says_how_to_start_one(root: DataRoot) -> None:
    done = history(root)
    assert (done.code, done.output) == (1, "")
    assert "luigi --module pipeline RetrainFlowers" in done.errors


def test_orders_about_the_champion_stand_between_the_runs(three: DataRoot) -> None:
    times = [dt.datetime(2026, 11, day, 15, tzinfo=dt.UTC) for day in (19, 20, 21)]
    orders = [ChampionOrder(time, "pin", "a" * 16, "b" * 16) for time in times]
    publish_champion(three.champion(DATASET), DATASET, replace(first_champion("a" * 16), orders=tuple(orders)))
    lines = [line.split() for line in history(three).output.splitlines()[2:]]
    pin = ["-", "-", "-", "-", "-", "pin", "-", "a" * 16]
    assert [line[0] for line in lines] == [f"2026-11-{day}" for day in (20, 20, 21, 21, 22)]
    assert [lines[1][1:], lines[3][1:]] == [pin, pin]
    assert dates(history(three, "--limit", 1)) == ["2026-11-22"]
    assert len(json.loads(history(three, "--json").output)) == 3


def test_runs_are_listed_although_the_file_of_the_champion_is_damaged(three: DataRoot[Path]) -> None:
    three.champion(DATASET).parent.mkdir()
    three.champion(DATASET).write_text("{")
    done = history(three)
    assert len(dates(done)) == 3
    assert "flowers.json is damaged" in done.errors
