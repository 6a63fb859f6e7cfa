"""Errors that the user can correct are logged as their message, and with a traceback at level DEBUG."""

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import DatasetError, SettingError
from tasks.runtime import luigi_failures
from tasks.runtime.exit_codes import RunFailure
from tasks.runtime.luigi_failures import LOG, PlainErrors, report_planning_error
from tests.pipeline.command import luigi


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    before = LOG.level
    LOG.setLevel(logging.WARNING)
    yield
    LOG.setLevel(before)


def logged(error: BaseException) -> str:
    """Return the text that Luigi's log shows for an error."""
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("luigi-interface", logging.ERROR, "", 0, "failed %s", ("x",), info)
    assert PlainErrors().filter(record)
    return logging.Formatter().format(record)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Raise and catch an error, for its traceback."""
    try:
        raise error from cause
    except type(error) as exc:
        return exc


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("50 %s of all photos", "50 %s of all photos"),
        ("Not decoded:\n  roses/\x1b]0;owned\x07.jpg", "Not decoded:\n  roses/\\x1b]0;owned\\x07.jpg"),
    ],
)
def test_message_is_logged_as_it_is_but_for_control_characters(message: str, shown: str) -> None:
    assert logged(raised(DatasetError(message))) == shown


def test_traceback_is_logged_at_level_debug_without_control_characters_and_passwords() -> None:
    LOG.setLevel(logging.DEBUG)
    text = logged(raised(DatasetError("\x1b"), OSError("http://me:hunter2@host")))
    assert text.startswith("\\x1b\nOSError: http://host\n")
    assert text.endswith("tasks.errors.DatasetError: \\x1b")
    assert "in raised" in text


def test_other_records_are_logged_by_luigi() -> None:
    assert logged(raised(ValueError("a bug"))).startswith("failed x\nTraceback")
    plain = logging.LogRecord("luigi-interface", logging.INFO, "", 0, "done %s", ("x",), None)
    assert PlainErrors().filter(plain)
    assert plain.getMessage() == "done x"


@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_planning_error_is_reported_by_the_last_message_in_its_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    failures: list[RunFailure] = []
    monkeypatch.setattr(luigi_failures, "set_failure", failures.append)
    error = raised(SettingError("--folds is 1.\nIt takes 2."), raised(DatasetError("The cause.")))
    text = "".join(traceback.format_exception(error))
    LOG.setLevel(level)
    assert report_planning_error(text)
    assert caplog.messages[0] == "--folds is 1.\nIt takes 2."
    assert [message.rstrip() for message in caplog.messages[1:]] == [text.rstrip()] * (level == "DEBUG")
    assert failures == [RunFailure(51, "--folds is 1.\nIt takes 2.")]


def test_planning_error_that_is_a_bug_is_left_to_luigi() -> None:
    assert not report_planning_error("".join(traceback.format_exception(raised(ValueError("a bug")))))


@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_error_outside_of_tasks_is_reported_without_passwords(tmp_path: Path, level: str) -> None:
    (tmp_path / "luigi.cfg").write_text("[core]\nlocal_scheduler=false\nrpc_retry_wait=0\n")
    options = {"scheduler-url": "http://me:hunter2@127.0.0.1:1", "log-level": level}
    done = luigi("RetrainFlowers", options, folder=tmp_path)
    assert done.code == 56
    assert "'http://127.0.0.1:1' (Connection refused). Start it" in done.errors
    assert ("Traceback" in done.errors) == (level == "DEBUG")
    assert "hunter2" not in done.errors
