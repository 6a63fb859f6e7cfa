"""Reading of run records, those of earlier versions too."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import StoreError
from tasks.runs.records import VERDICTS, RecordedStage, RunRecord, read_history, read_record, recorded_datasets
from tasks.storage.layout import DataRoot
from tests.support.data_root import INTERVAL, keep, record, stage

DATE = "2026-11-20"
METRICS = {"photos": 120, "accuracy": 0.9, "interval": INTERVAL}


def read(root: DataRoot[Path], **changes: Any) -> RunRecord:
    keep(root, record(root, DATE, **changes))
    ((run,), _) = read_history(root, "flowers")
    return run


def test_a_run_is_read_from_its_record(root: DataRoot[Path]) -> None:
    path = keep(root, record(root, DATE))
    assert read_history(root, "flowers").runs == [
        RunRecord(
            record=path,
            run=f"{DATE}-run",
            location="/photos",
            dataset="flowers",
            date=dt.date(2026, 11, 20),
            finished=dt.datetime(2026, 11, 20, 3, tzinfo=dt.UTC),
            snapshot="snap",
            model="0123456789abcdef",
            photos=1200,
            new=25,
            rejected=3,
            test_photos=120,
            accuracy=0.9,
            low=0.85,
            high=0.95,
            cross_validated=0.925,
            verdict="new",
            elapsed=12.5,
            report=root.report(f"of-{DATE}") / "report.html",
            parameters={"views": "2"},
            program=0.0,
            stages={
                "decode": RecordedStage("d", 20, 0.0, 0.0),
                "bottleneck": RecordedStage("b", 25, 0.0, 0.0),
                "evaluate": RecordedStage("e", 0, 0.0, 0.0),
            },
        )
    ]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        *(({"champion": {"verdict": verdict}}, {"verdict": verdict}) for verdict in VERDICTS),
        (
            {"head": None, "network": "f" * 16, "stages": {"decode": stage("d", 20), "evaluate": stage("e", 0)}},
            {"model": "f" * 16, "new": 20},
        ),
        ({"metrics": {"test": METRICS, "cross_validation": None}}, {"cross_validated": None}),
        (
            {
                "metrics": {
                    "test": METRICS,
                    "cross_validation": None,
                    "test_without_near_duplicates": {"left_out": 20, "photos": 100, "accuracy": 0.88},
                }
            },
            {"accuracy": 0.9, "distinct_accuracy": 0.88},
        ),
    ],
)
def test_runs_of_every_verdict_fine_tuned_networks_and_runs_without_cross_validation_are_read(
    root: DataRoot[Path], changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    run = read(root, **changes)
    assert {name: getattr(run, name) for name in fields} == fields


def test_a_record_of_before_there_were_champions_has_no_verdict(root: DataRoot[Path]) -> None:
    old = record(root, DATE)
    del old["champion"], old["elapsed"]
    keep(root, old)
    ((run,), _) = read_history(root, "flowers")
    assert (run.verdict, run.elapsed) == (None, 11.0)


def test_runs_are_in_the_order_of_their_dates_and_of_one_date_as_they_ended(root: DataRoot[Path]) -> None:
    keep(root, record(root, "2026-11-21"), parameters="aaaaaaaa")
    keep(root, record(root, "2026-11-19"), parameters="cccccccc")
    keep(root, record(root, "2026-11-19", finished="2026-11-22T03:00:00+00:00"), parameters="bbbbbbbb")
    assert [run.record.stem for run in read_history(root, "flowers").runs] == [
        "2026-11-19-cccccccc",
        "2026-11-19-bbbbbbbb",
        "2026-11-21-aaaaaaaa",
    ]


def test_the_datasets_that_have_runs_are_named_in_order(root: DataRoot[Path]) -> None:
    for dataset in ("roses", "asters"):
        keep(root, record(root, DATE), dataset)
    root.runs("empty").mkdir()
    assert recorded_datasets(root) == ["asters", "roses"]


def test_without_a_record_there_is_none_and_no_history(root: DataRoot[Path]) -> None:
    assert read_history(root, "flowers").runs == []
    assert read_record(root.runs("flowers") / "none.json") is None


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"schema_version": 99}'])
def test_what_is_no_record_of_this_version_is_named(root: DataRoot[Path], text: str) -> None:
    path = keep(root, record(root, DATE))
    path.write_text(text)
    with pytest.raises(StoreError, match=path.name):
        read_record(path)


@pytest.mark.parametrize("name", ["date", "dataset", "metrics", "stages", "report"])
def test_a_record_that_lacks_something_is_named_with_the_remedy_and_keeps_no_other_back(
    root: DataRoot[Path], name: str
) -> None:
    good = keep(root, record(root, DATE), parameters="bbbbbbbb")
    path = keep(root, {**record(root, DATE), name: None})
    path = path if name != "date" else root.runs("flowers") / "None-aaaaaaaa.json"
    runs, damaged = read_history(root, "flowers")
    assert [run.record for run in runs] == [good]
    assert [str(error).startswith(f"{path} is damaged") for error in damaged] == [True]
    assert "Delete it" in str(damaged[0])
