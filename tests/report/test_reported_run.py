"""The run that a report shows: its record, its exports, its times, and the runs before it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.report.reported_run import find_reports, read_previous_runs
from tasks.storage.layout import DataRoot
from tests.report.made_up import keep_previous, make_up_run
from tests.support.data_root import DAY, StagedRun, draw_photos, stage_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StagedRun:
    return stage_run(tmp_path_factory.mktemp("run"), draw_photos((10, 10, 10)))


@pytest.fixture
def staged(whole: StagedRun, root: DataRoot[Path]) -> StagedRun:
    """The run with a data root of its own, which has no record yet."""
    return replace(whole, root=root, run=replace(whole.run, record=root.runs("flowers") / f"{DAY}-0123abcd.json"))


def test_runs_of_earlier_dates_are_read_in_their_order_and_a_damaged_one_is_named(staged: StagedRun) -> None:
    for days in (1, 3, 2):
        keep_previous(staged.root, days, f"snap{days}")
    bad = keep_previous(staged.root, 4, "bad")
    bad.write_text("{")
    history = read_previous_runs(staged.run, staged.root)
    assert [run.snapshot for run in history.runs] == ["snap3", "snap2", "snap1"]
    assert [str(error).startswith(f"{bad} is damaged") for error in history.damaged] == [True]


def test_a_later_run_and_an_earlier_state_of_the_run_s_own_record_are_left_out(staged: StagedRun) -> None:
    keep_previous(staged.root, -1, "later")
    own = keep_previous(staged.root, 0, "own")
    assert read_previous_runs(replace(staged.run, record=own), staged.root) == ([], [])
    assert [run.snapshot for run in read_previous_runs(staged.run, staged.root).runs] == ["own"]


def test_a_run_is_shown_as_its_record_will_be(whole: StagedRun) -> None:
    run = whole.run.to_record()
    assert (run.snapshot, run.photos, run.verdict, run.cross_validated) == ("snap", 30, "first", 0.9)
    assert run.low <= run.accuracy <= run.high
    assert run.parameters == whole.run.parameters
    assert run.distinct_accuracy is None


def test_the_accuracy_without_near_duplicates_is_shown_too(whole: StagedRun) -> None:
    evaluate = whole.run.stages["evaluate"]
    without = {"left_out": 1, "photos": 3, "accuracy": evaluate.details["test"]["accuracy"] - 0.01}
    details = {**evaluate.details, "test_without_near_duplicates": without}
    stages = {**whole.run.stages, "evaluate": replace(evaluate, details=details)}
    assert replace(whole.run, stages=stages).to_record().distinct_accuracy == without["accuracy"]


def test_of_several_stages_the_one_with_the_fewest_photos_counts(whole: StagedRun) -> None:
    stages = dict(whole.run.stages)
    stages |= {
        "decode-2": replace(stages["decode"], details={"missing": 2}),
        "bottleneck-2": replace(stages["bottleneck"], photos=29),
    }
    run = replace(whole.run, stages=stages).to_record()
    assert (run.photos, run.rejected) == (29, 2)


def test_a_stage_that_an_earlier_run_did_took_no_time(whole: StagedRun) -> None:
    stages = {**whole.run.stages, "decode": replace(whole.run.stages["decode"], seconds=9.0)}
    assert replace(whole.run, stages=stages).seconds["decode"] == 9.0
    other = replace(whole.run, stages=stages, run_id="another")
    assert (other.seconds["decode"], other.to_record().new) == (0.0, 0)


@pytest.mark.parametrize(
    ("details", "note"),
    [
        ({"test": {"saved_model": {"photos": 20, "agreement": 0.995}}}, ""),
        ({"test": {"model.tflite": {"photos": 20, "agreement": 0.5}}, "refused": "It is wrong."}, "It is wrong."),
        (
            {"test": {"saved_model": {"photos": 0, "agreement": None}}, "left_out": {"gone": 20}},
            "The export was not tested: saved_model, since no test photo could be read (20 gone).",
        ),
    ],
    ids=["tested", "refused", "not tested"],
)
def test_a_note_says_why_exports_were_refused_or_not_tested(
    whole: StagedRun, details: dict[str, Any], note: str
) -> None:
    assert not whole.run.export_note
    manifest = replace(whole.run.stages["train"], details={"left_out": {}, **details})
    found = replace(whole.run, stages={**whole.run.stages, "export": manifest}).export_note
    assert found.startswith(note)
    assert bool(found) == bool(note)


def test_a_report_is_found_after_its_data_root_was_moved(tmp_path: Path) -> None:
    run = make_up_run(tmp_path / "old", 1, 0.9)
    moved = replace(run, record=tmp_path / "new" / "runs" / "flowers" / run.record.name)
    assert find_reports([moved]) == [None]
    here = tmp_path / "new" / "report" / run.model / "report.html"
    here.parent.mkdir(parents=True)
    here.touch()
    assert find_reports([moved]) == [f"report/{run.model}/report.html"]


@pytest.mark.parametrize("report", ["/x/../../elsewhere.html", "../../elsewhere.html", "elsewhere.html", "/"])
def test_a_record_links_only_reports_of_its_own_data_root(tmp_path: Path, report: str) -> None:
    run = make_up_run(tmp_path / "data", 1, 0.9)
    (tmp_path / "elsewhere.html").touch()
    run.report.parent.mkdir(parents=True)
    run.report.touch()
    assert find_reports([replace(run, report=Path(report)), run]) == [None, f"report/{run.model}/report.html"]
