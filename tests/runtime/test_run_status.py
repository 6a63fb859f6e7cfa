"""How far a run has come, in a sentence for whoever stopped it."""

import pytest

from tasks.runtime import run_status

AGAIN = "; run the same command again to go on from there."


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_done", []), ("_stage", ""), ("_rows", 0)):
        monkeypatch.setattr(run_status, name, value)


def test_before_any_stage_only_what_was_there_is_kept() -> None:
    assert run_status.describe_progress() == f". What was published before is kept{AGAIN}"


def test_a_stage_that_has_kept_nothing_yet_is_named() -> None:
    run_status.start_stage("decode")
    assert run_status.describe_progress() == f" in the stage decode. What was published before is kept{AGAIN}"


def test_rows_are_counted_for_the_stage_under_way_alone() -> None:
    run_status.start_stage("decode")
    run_status.count_published(512)
    run_status.finish_stage()
    run_status.start_stage("bottleneck")
    run_status.count_published(1000)
    run_status.count_published(24)
    told = " in the stage bottleneck. Kept are the stages decode and 1,024 new rows of bottleneck"
    assert run_status.describe_progress() == told + AGAIN


def test_between_stages_those_that_are_done_are_named() -> None:
    for stage in ("snapshot", "decode"):
        run_status.start_stage(stage)
        run_status.count_published(5)
        run_status.finish_stage()
    assert run_status.describe_progress() == f". Kept are the stages snapshot, decode{AGAIN}"
