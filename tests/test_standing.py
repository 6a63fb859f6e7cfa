"""How far a run has come, in a sentence for whoever stopped it."""

import pytest

from tasks import standing

AGAIN = "; run the same command again to go on from there."


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_done", []), ("_stage", ""), ("_rows", 0)):
        monkeypatch.setattr(standing, name, value)


def test_before_any_stage_only_what_was_there_is_kept() -> None:
    assert standing.tell() == f". What was published before is kept{AGAIN}"


def test_a_stage_that_has_kept_nothing_yet_is_named() -> None:
    standing.begin("decode")
    assert standing.tell() == f" in the stage decode. What was published before is kept{AGAIN}"


def test_rows_are_counted_for_the_stage_under_way_alone() -> None:
    standing.begin("decode")
    standing.keep(512)
    standing.end()
    standing.begin("bottleneck")
    standing.keep(1000)
    standing.keep(24)
    told = " in the stage bottleneck. Kept are the stages decode and 1,024 new rows of bottleneck"
    assert standing.tell() == told + AGAIN


def test_between_stages_those_that_are_done_are_named() -> None:
    for stage in ("snapshot", "decode"):
        standing.begin(stage)
        standing.keep(5)
        standing.end()
    assert standing.tell() == f". Kept are the stages snapshot, decode{AGAIN}"
