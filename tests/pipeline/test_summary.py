"""The last lines of a run: what its verdict and its champion mean for the reader."""

import pytest

from pipeline.summary import find_changes, is_worse, not_good_enough


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
