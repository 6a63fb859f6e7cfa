"""The runs before a run."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.report.previous_runs import read_previous_runs
from tests.report.laid_out import DAY, LaidOut, draw_photos, keep_record, lay_out


@pytest.fixture
def run(tmp_path: Path) -> LaidOut:
    return lay_out(tmp_path, draw_photos((10, 10, 10)))


def test_runs_of_earlier_dates_are_read_in_their_order(run: LaidOut) -> None:
    for days in (1, 3, 2):
        keep_record(run.root, DAY - dt.timedelta(days), f"snap{days}")
    past = read_previous_runs(run.root, run.occasion)
    assert [night.snapshot for night in past.nights] == ["snap3", "snap2", "snap1"]
    assert past.last == past.nights[-1]
    assert past.notes == []


def test_a_later_run_and_what_the_run_s_own_record_said_before_are_none_of_them(run: LaidOut) -> None:
    keep_record(run.root, DAY + dt.timedelta(1), "later")
    own = keep_record(run.root, DAY, "own")
    past = read_previous_runs(run.root, replace(run.occasion, record=own))
    assert past.last is None
    assert past.notes == []
    assert [night.snapshot for night in read_previous_runs(run.root, run.occasion).nights] == ["own"]


def test_a_damaged_record_is_left_out_and_named(run: LaidOut) -> None:
    keep_record(run.root, DAY - dt.timedelta(1), "good")
    bad = keep_record(run.root, DAY - dt.timedelta(2), "bad")
    bad.write_text("{")
    past = read_previous_runs(run.root, run.occasion)
    assert [night.snapshot for night in past.nights] == ["good"]
    (note,) = past.notes
    assert note.startswith(f"A run is left out: {bad} is damaged")


def test_a_run_tells_of_itself_as_its_record_will(run: LaidOut) -> None:
    night = run.occasion.night()
    assert (night.snapshot, night.photos, night.verdict) == ("snap", 30, "first")
    assert night.low <= night.accuracy <= night.high
    assert night.parameters == run.occasion.parameters
    assert night.cross_validated == 0.9
