"""How failures are logged, and what luigid that does not answer ends with."""

import logging
import traceback
from pathlib import Path

import pytest

from tasks.errors import DatasetError, SettingError
from tasks.runtime import luigi_failures
from tasks.runtime.luigi_failures import PlainErrors, report_planning_error
from tests.pipeline.command import luigi


def record(error: BaseException) -> logging.LogRecord:
    return logging.LogRecord("luigi-interface", logging.ERROR, "", 0, "failed %s", ("x",), (type(error), error, None))


def test_a_sentence_with_per_cent_signs_is_shown_as_it_is() -> None:
    shown = record(DatasetError("50 %s of all photos"))
    assert PlainErrors().filter(shown)
    assert shown.getMessage() == "50 %s of all photos"
    assert shown.exc_info is None


def test_a_name_in_an_error_cannot_command_the_terminal_and_lines_stay_lines() -> None:
    shown = record(DatasetError("These cannot be decoded:\n  roses/\x1b]0;owned\x07.jpg"))
    assert PlainErrors().filter(shown)
    assert shown.getMessage() == "These cannot be decoded:\n  roses/\\x1b]0;owned\\x07.jpg"


def test_other_records_pass_untouched() -> None:
    bug = record(ValueError("a bug"))
    plain = logging.LogRecord("luigi-interface", logging.INFO, "", 0, "done %s", ("x",), None)
    assert PlainErrors().filter(bug)
    assert PlainErrors().filter(plain)
    assert (bug.getMessage(), plain.getMessage()) == ("failed x", "done x")
    assert bug.exc_info is not None


def test_a_traceback_of_planning_is_logged_as_the_sentence_that_was_raised_last(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[int] = []
    monkeypatch.setattr(luigi_failures, "set_exit_code", noted.append)
    try:
        try:
            raise DatasetError("The cause.")
        except DatasetError as exc:
            raise SettingError("--folds is 1.\nIt takes 2.") from exc
    except SettingError:
        text = traceback.format_exc()
    luigi_failures.LOG.addHandler(caplog.handler)
    assert report_planning_error(text)
    luigi_failures.LOG.removeHandler(caplog.handler)
    assert caplog.messages == ["--folds is 1.\nIt takes 2."]
    assert noted == [51]


def test_a_traceback_of_a_bug_is_left_to_luigi() -> None:
    try:
        raise ValueError("a bug")
    except ValueError:
        assert not report_planning_error(traceback.format_exc())


def test_a_scheduler_that_does_not_answer_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "luigi.cfg").write_text("[core]\nlocal_scheduler=false\nrpc_retry_wait=0\n")
    done = luigi("RetrainFlowers", {"scheduler-url": "http://me:hunter2@127.0.0.1:1"}, folder=tmp_path)
    assert done.code == 56
    assert "luigid does not answer at 'http://127.0.0.1:1' (Connection refused). Start it" in done.errors
    assert "Traceback" not in done.errors
    assert "hunter2" not in done.errors
