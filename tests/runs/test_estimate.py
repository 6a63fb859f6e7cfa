"""Estimates of the time of a run, from made-up records."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.runs.estimate import NEWEST, RemainingWork, duration, estimate, read_past
from tasks.runs.records import RecordedStage, RunRecord
from tasks.storage.files import publish_bytes
from tasks.storage.layout import DataRoot
from tests.report.made_up import make_up_run
from tests.support.data_root import keep, record

WAY, OTHER_WAY = {"views": "1"}, {"views": "2"}


def ran(
    run: str, photos: int, stages: Mapping[str, RecordedStage], way: Mapping[str, str] = WAY, program: float = 0.0
) -> RunRecord:
    about: dict[str, Any] = {"run": run, "photos": photos, "stages": stages, "parameters": way, "program": program}
    return replace(make_up_run(Path("data"), 1, 0.9), **about)


def test_a_store_costs_its_startup_once_and_its_rate_for_every_new_photo() -> None:
    past = [
        ran("a", 100, {"bottleneck": RecordedStage("k", 100, 6.0, 5.0)}),
        ran("b", 400, {"bottleneck": RecordedStage("k", 300, 8.0, 5.0)}),
    ]
    told = estimate({"bottleneck": RemainingWork("k", 200)}, WAY, past)
    assert told.seconds == pytest.approx(5.0 + 200 * (1.0 + 3.0) / 400)
    assert (told.runs, str(told)) == (2, "about 7 s, from 2 past runs")


def test_runs_with_the_same_store_count_before_others() -> None:
    past = [
        ran("a", 10, {"bottleneck": RecordedStage("fast", 10, 1.0, 0.0)}),
        ran("b", 10, {"bottleneck": RecordedStage("slow", 10, 10.0, 0.0)}),
    ]
    assert estimate({"bottleneck": RemainingWork("slow", 5)}, WAY, past).seconds == pytest.approx(5.0)
    assert estimate({"bottleneck": RemainingWork("new", 20)}, WAY, past).seconds == pytest.approx(20 * 11 / 20), (
        "else all"
    )


def test_a_training_grows_with_all_photos_of_the_run_and_goes_by_runs_of_the_same_parameters() -> None:
    past = [
        ran("a", 100, {"train": RecordedStage("x", 80, 2.0, 0.0)}),
        ran("b", 100, {"train": RecordedStage("y", 80, 200.0, 0.0)}, OTHER_WAY),
    ]
    assert estimate({"train": RemainingWork(None, 300)}, WAY, past).seconds == pytest.approx(6.0)


def test_what_hardly_grows_is_taken_as_the_median_and_the_program_s_start_is_added() -> None:
    past = [
        ran(run, 10, {"export": RecordedStage(run, 1, seconds, 0.0)}, program=0.5)
        for run, seconds in (("a", 1.0), ("b", 3.0), ("c", 90.0))
    ]
    assert estimate({"export": RemainingWork(None, None)}, WAY, past).seconds == pytest.approx(3.5)


def test_runs_that_had_nothing_to_do_in_a_stage_do_not_count() -> None:
    past = [
        ran("a", 10, {"decode": RecordedStage("k", 10, 1.0, 0.0)}),
        ran("b", 10, {"decode": RecordedStage("k", 0, 0.0, 0.0)}),
    ]
    assert estimate({"decode": RemainingWork("k", 10)}, WAY, past).runs == 1


def test_nothing_new_costs_nothing() -> None:
    past = [ran("a", 10, {"decode": RecordedStage("k", 10, 1.0, 0.0), "train": RecordedStage("x", 8, 2.0, 0.0)})]
    told = estimate({"decode": RemainingWork("k", 0), "train": RemainingWork(None, 10)}, WAY, past)
    assert told.seconds == pytest.approx(2.0)


def test_stages_that_no_run_tells_of_are_named() -> None:
    past = [ran("a", 10, {"decode": RecordedStage("k", 10, 12.0, 0.0)})]
    ahead = {"decode": RemainingWork("k", 10), "export": RemainingWork(None, None), "report": RemainingWork(None, None)}
    assert str(estimate(ahead, WAY, past)) == (
        "about 12 s, from 1 past run; without export and report, which cannot be estimated"
    )


def test_without_past_runs_it_says_so() -> None:
    assert str(estimate({"train": RemainingWork(None, 10)}, WAY, [])) == "no past run to go by"


def test_a_stage_whose_number_of_photos_is_not_known_is_left_out() -> None:
    past = [ran("a", 10, {"decode": RecordedStage("k", 10, 12.0, 0.0)})]
    assert estimate({"decode": RemainingWork("k", None)}, WAY, past).seconds is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (99.4, "99 s"), (100, "2 min"), (5900, "98 min"), (9000, "2.5 h")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_newest_records_of_all_datasets_are_read_and_damaged_ones_left_out(root: DataRoot[Path]) -> None:
    for number in range(NEWEST + 5):
        told = record(root, "2026-01-01", run=f"{number}")
        path = keep(root, told, f"dataset-{number % 2}", f"{number:08}")
        if number == NEWEST:
            publish_bytes(path, b"{")
    assert [past.run for past in read_past(root)] == [str(n) for n in range(5, NEWEST + 5) if n != NEWEST]
