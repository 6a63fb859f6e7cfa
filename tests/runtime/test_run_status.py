"""The message of a stopped run describes how far it has come."""

import pytest

from tasks.runtime import run_status


def message() -> str:
    text, again, rest = run_status.describe_progress().partition("; run the same command again to go on from there.")
    assert (bool(again), rest) == (True, "")
    return text


def test_message_names_finished_stages_and_the_rows_of_the_running_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_done", []), ("_stage", ""), ("_rows", 0)):
        monkeypatch.setattr(run_status, name, value)
    assert message() == ". Earlier results are kept"
    run_status.start_stage("decode")
    assert message() == " in the stage decode. Earlier results are kept"
    run_status.count_published(512)
    run_status.finish_stage()
    assert message() == ". Kept are the stages decode"
    run_status.start_stage("bottleneck")
    run_status.count_published(1000)
    run_status.count_published(24)
    assert message() == " in the stage bottleneck. Kept are the stages decode and 1,024 new rows of bottleneck"
    run_status.finish_stage()
    assert message() == ". Kept are the stages decode, bottleneck"
