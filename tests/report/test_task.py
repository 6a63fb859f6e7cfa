"""The report as a stage: what it is keyed by, when it is done, and what it publishes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.drift.result import DriftResult
from tasks.report.task import WriteReport
from tasks.run_context import RunContext
from tests.report.svg import texts
from tests.support.data_root import DAY, SETTINGS, StagedRun, draw_photos, stage_run


def report_of(staged: StagedRun, **changes: Any) -> WriteReport:
    run = staged.run
    given = {
        "context": RunContext(str(staged.root.path), run.run_id, run.snapshot, str(run.folder)),
        "settings": SETTINGS,
        "dataset": run.dataset,
        "date": DAY,
        "export": False,
        "parameters": run.parameters,
        "record": str(run.record),
    }
    return WriteReport(**{**given, **changes})


def publish(staged: StagedRun, *, but: str = "") -> None:
    """Publish the manifests of the stages before, but one, where their tasks look for them."""
    report = report_of(staged)
    train = report.evaluation().requires()
    for task in (*train.before(), *report.drift(), train, report.evaluation(), report.champion()):
        if task.stage != but:
            staged.run.stages[task.stage].publish(task.manifest_path())


@pytest.fixture
def staged(tmp_path: Path) -> StagedRun:
    return stage_run(tmp_path, draw_photos((10, 12, 14)))


def test_there_is_no_report_before_the_champion_is_decided_on(staged: StagedRun) -> None:
    publish(staged, but="champion")
    assert not report_of(staged).complete()


def test_it_is_one_file_beside_the_confusion_matrix_and_then_it_is_done(staged: StagedRun) -> None:
    publish(staged)
    report = report_of(staged)
    assert not report.complete()
    report.run()
    assert report.complete()
    page = staged.root.report(report.key()) / "report.html"
    assert report.manifest().details == {"report": str(page)}
    assert report.manifest().new == 1
    assert "First model of this dataset." in page.read_text()
    assert "True label" in texts((page.parent / "confusion-matrix.svg").read_text())


def test_its_key_is_made_of_what_it_tells(staged: StagedRun) -> None:
    publish(staged)
    key = report_of(staged).key()
    others: list[dict[str, Any]] = [
        {"date": DAY.replace(day=1)},
        {"on_drift": "ignore"},
        {"parameters": {"seed": "7"}},
        {"settings": replace(SETTINGS, folds=3)},
    ]
    decision = staged.run.stages["champion"]
    keys = {key}
    for changes in others:
        other = report_of(staged, **changes)
        decision.publish(other.champion().manifest_path())
        keys.add(other.key())
    assert len(keys) == 1 + len(others)
    elsewhere = RunContext(str(staged.root.path), "another", staged.run.snapshot, "elsewhere")
    assert report_of(staged, context=elsewhere, record="elsewhere").key() == key
    replace(decision, details={**decision.details, "verdict": "same"}).publish(
        report_of(staged).champion().manifest_path()
    )
    assert report_of(staged).key() not in keys


def test_its_key_holds_what_came_of_the_export(staged: StagedRun) -> None:
    publish(staged)
    keys, report = {report_of(staged).key()}, report_of(staged, export=True)
    with pytest.raises(FileNotFoundError):
        report.key()
    for refused in (None, "It says something else."):
        details: dict[str, Any] = {"test": {}, "refused": refused}
        export = replace(staged.run.stages["train"], details=details)
        export.publish(report.exports()[0].manifest_path())
        keys.add(report.key())
    assert len(keys) == 3


def test_its_key_holds_the_comparison_of_new_photos(staged: StagedRun) -> None:
    publish(staged)
    report = report_of(staged)
    before, (drift,) = report.key(), report.drift()
    replace(drift.manifest(), details={**DriftResult(new=3, earlier=5).to_json()}).publish(drift.manifest_path())
    assert report.key() != before


def test_the_stages_that_it_tells_of_come_before_it_where_there_are(staged: StagedRun) -> None:
    assert [task.stage for task in report_of(staged, export=True).requires()] == ["drift", "export", "champion"]
    assert [task.stage for task in report_of(staged, on_drift="ignore").requires()] == ["champion"]
    for on_drift, refuses in (("warn", False), ("fail", True)):
        assert report_of(staged, on_drift=on_drift).champion().refuse_drift is refuses
