"""The last lines of a run: what its verdict and its champion mean for the reader."""

from typing import Any

import pytest

from pipeline.summary import figures, is_worse, not_good_enough
from tasks.runs.records import find_changes
from tasks.snapshot.ignored import IgnoredSummary
from tasks.storage.layout import DataRoot
from tests.support.data_root import record


@pytest.mark.parametrize(
    ("kept_by", "worse"),
    [("accuracy", True), ("label", True), ("date", False), ("pin", False), ("rollback", False), (None, False)],
)
def test_only_a_model_that_is_worse_ends_the_run_with_an_error(kept_by: str | None, *, worse: bool) -> None:
    assert is_worse({"verdict": "stays" if kept_by else "new", "kept_by": kept_by}) == worse


@pytest.mark.parametrize(("kept_by", "gate"), [("accuracy", False), ("label", True)])
def test_the_error_of_a_worse_model_names_the_orders_that_make_it_champion(kept_by: str, *, gate: bool) -> None:
    decision = {"verdict": "stays", "kept_by": kept_by, "model": "m", "reason": "The champion stays: roses are worse."}
    told = not_good_enough({"champion": decision, "dataset": {"name": "flowers"}})
    assert told.startswith("The champion stays: roses are worse. ")
    assert "python -m pipeline champion flowers --promote m." in told
    assert ("--label-gate false" in told) == gate


def test_the_error_of_a_model_that_drift_refuses_names_the_report_and_the_remedy() -> None:
    decision = {"verdict": "refused", "kept_by": "drift", "reason": "The new model is refused. New photos differ."}
    told = not_good_enough({"champion": decision, "dataset": {"name": "flowers"}, "report": "data/report.html"})
    assert told.startswith("The new model is refused. New photos differ. ")
    assert "data/report.html. --on-drift warn accepts them." in told


def test_a_record_of_an_earlier_version_has_no_changes_of_new_photos() -> None:
    assert find_changes({"stages": {"decode": {"details": {}}}}) == []
    assert find_changes({"stages": {"drift": {"details": {"changes": ["a 1"]}}}}) == ["a 1"]


def test_the_error_of_a_refused_model_names_the_least_accuracy() -> None:
    decision = {"verdict": "refused", "kept_by": None, "reason": "The new model is refused."}
    assert "lower --min-accuracy" in not_good_enough({"champion": decision, "dataset": {"name": "flowers"}})


@pytest.mark.parametrize(
    ("issues", "line"),
    [
        (0, None),
        (None, None),
        (1, "Label issues    1 label looks wrong: python -m pipeline audit flowers"),
        (1200, "Label issues    1,200 labels look wrong: python -m pipeline audit flowers"),
    ],
)
def test_label_issues_are_counted_with_the_command_that_lists_them(
    root: DataRoot, issues: int | None, line: str | None
) -> None:
    told = lines_of(root, {"evaluate": {"label_issues": issues}})
    assert [each for each in told if each.startswith("Label issues")] == ([line] if line else [])


@pytest.mark.parametrize(
    ("unmatched", "told"),
    [
        ([], ""),
        (["line 7, roses/x.jpg"], "; 1 line matches no photo, such as line 7, roses/x.jpg"),
        (["line 7, a", "line 8, b"], "; 2 lines match no photo, such as line 7, a; line 8, b"),
    ],
)
def test_corrections_are_counted_and_lines_without_a_photo_are_named(
    root: DataRoot, unmatched: list[str], told: str
) -> None:
    details = {"relabelled": 1234, "excluded": 2, "unmatched": len(unmatched), "unmatched_examples": unmatched}
    (line,) = (
        line for line in lines_of(root, {"snapshot": {"corrections": details}}) if line.startswith("Corrections")
    )
    assert line == f"Corrections     1,234 relabelled, 2 excluded{told}"


def lines_of(root: DataRoot, details: dict[str, dict[str, Any]]) -> list[str]:
    """The figures of a run with these details of stages."""
    run = record(root, "2026-11-20", startup={"seconds": 1.0})
    run["champion"]["reason"] = "First model of this dataset."
    served = {"obstacle": "it is refused", "version": None}
    for stage, own in ({"snapshot": {"conflicts": 0}} | {"evaluate": {}, "serving": served}).items():
        run["stages"].setdefault(stage, {})["details"] = {**own, **details.get(stage, {})}
    run["labels"] = {"new": [], "gone": []}
    return figures({**run, **IgnoredSummary().details()})
