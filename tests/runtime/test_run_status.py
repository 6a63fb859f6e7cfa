"""The message of a stopped run describes how far it has come."""

import pytest

from tasks.runtime import run_status

AGAIN = "; run the same command again to go on from there."


@pytest.fixture(autouse=True)
def _reset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_done", []), ("_stage", ""), ("_rows", 0)):
        monkeypatch.setattr(run_status, name, value)


def test_before_any_stage_only_earlier_results_are_kept() -> None:
    assert run_status.describe_progress() == f". What was published before is kept{AGAIN}"


def test_stage_without_published_rows_is_named() -> None:
    run_status.start_stage("decode")
    assert run_status.describe_progress() == f" in the stage decode. What was published before is kept{AGAIN}"


def test_rows_are_counted_for_the_running_stage_alone() -> None:
    run_status.start_stage("decode")
    run_status.count_published(512)
    run_status.finish_stage()
    run_status.start_stage("bottleneck")
    run_status.count_published(1000)
    run_status.count_published(24)
    expected = " in the stage bottleneck. Kept are the stages decode and 1,024 new rows of bottleneck"
    assert run_status.describe_progress() == expected + AGAIN


def test_finished_stages_are_named() -> None:
    for stage in ("snapshot", "decode"):
        run_status.start_stage(stage)
        run_status.count_published(5)
        run_status.finish_stage()
    assert run_status.describe_progress() == f". Kept are the stages snapshot, decode{AGAIN}"
