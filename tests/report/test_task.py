"""The report as a stage: what it is keyed by, when it is done, and what it publishes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.report.task import WriteReport
from tasks.run_context import RunContext
from tests.report.laid_out import DAY, SETTINGS, LaidOut, draw_photos, lay_out
from tests.report.svg import texts


def report_of(laid_out: LaidOut, **changes: Any) -> WriteReport:
    occasion = laid_out.occasion
    given = {
        "context": RunContext(str(laid_out.root.path), occasion.run, occasion.snapshot, str(occasion.folder)),
        "settings": SETTINGS,
        "dataset": occasion.dataset,
        "date": DAY,
        "export": False,
        "parameters": occasion.parameters,
        "record": str(occasion.record),
    }
    return WriteReport(**{**given, **changes})


def publish(laid_out: LaidOut, *, but: str = "") -> None:
    """Publish the manifests of the stages before, but one, where their tasks look for them."""
    report = report_of(laid_out)
    train = report.evaluation().requires()
    for task in (*train.before(), train, report.evaluation(), report.champion()):
        if task.stage != but:
            laid_out.occasion.stages[task.stage].publish(task.manifest_path())


@pytest.fixture
def laid_out(tmp_path: Path) -> LaidOut:
    return lay_out(tmp_path, draw_photos((10, 12, 14)))


def test_there_is_no_report_before_the_champion_is_decided_on(laid_out: LaidOut) -> None:
    publish(laid_out, but="champion")
    assert not report_of(laid_out).complete()


def test_it_is_one_file_beside_the_confusion_matrix_and_then_it_is_done(laid_out: LaidOut) -> None:
    publish(laid_out)
    report = report_of(laid_out)
    assert not report.complete()
    report.run()
    assert report.complete()
    page = laid_out.root.report(report.key()) / "report.html"
    assert report.manifest().details == {"report": str(page)}
    assert report.manifest().new == 1
    assert "The model is the first of its dataset." in page.read_text()
    assert "True label" in texts((page.parent / "confusion-matrix.svg").read_text())


def test_its_key_is_made_of_what_it_tells(laid_out: LaidOut) -> None:
    publish(laid_out)
    key = report_of(laid_out).key()
    others: list[dict[str, Any]] = [
        {"date": DAY.replace(day=1)},
        {"parameters": {"seed": "7"}},
        {"settings": replace(SETTINGS, folds=3)},
    ]
    decision = laid_out.occasion.stages["champion"]
    keys = {key}
    for changes in others:
        other = report_of(laid_out, **changes)
        decision.publish(other.champion().manifest_path())
        keys.add(other.key())
    assert len(keys) == 1 + len(others)
    elsewhere = RunContext(str(laid_out.root.path), "another", laid_out.occasion.snapshot, "elsewhere")
    assert report_of(laid_out, context=elsewhere, record="elsewhere").key() == key
    replace(decision, details={**decision.details, "verdict": "same"}).publish(
        report_of(laid_out).champion().manifest_path()
    )
    assert report_of(laid_out).key() not in keys


def test_its_key_holds_what_came_of_the_export(laid_out: LaidOut) -> None:
    publish(laid_out)
    keys, report = {report_of(laid_out).key()}, report_of(laid_out, export=True)
    with pytest.raises(FileNotFoundError):
        report.key()
    for refused in (None, "It says something else."):
        details: dict[str, Any] = {"test": {}, "refused": refused}
        export = replace(laid_out.occasion.stages["train"], details=details)
        export.publish(report.requires()[0].manifest_path())
        keys.add(report.key())
    assert len(keys) == 3


def test_the_export_runs_before_the_decision_where_there_is_one(laid_out: LaidOut) -> None:
    assert [task.stage for task in report_of(laid_out, export=True).requires()] == ["export", "champion"]
    assert [task.stage for task in report_of(laid_out).requires()] == ["champion"]
