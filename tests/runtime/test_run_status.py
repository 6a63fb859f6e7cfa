"""The message of a stopped run describes how far it has come."""

import pytest

from tasks.runtime import run_status

AGAIN = "; run the same command again to go on from there."


@pytest.fixture(autouse=True)
def _reset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_done", []), ("_stage", ""), ("_rows", 0)):
        monkeypatch.setattr(run_status, name, value)


@pytest.mark.parametrize(
    ("done", "running", "rows", "message"),
    [
        ([], None, [], ". What was published before is kept"),
        ([], "decode", [], " in the stage decode. What was published before is kept"),
        (
            ["decode"],
            "bottleneck",
            [1000, 24],
            " in the stage bottleneck. Kept are the stages decode and 1,024 new rows of bottleneck",
        ),
        (["snapshot", "decode"], None, [], ". Kept are the stages snapshot, decode"),
    ],
)
def test_message_names_finished_stages_and_the_rows_of_the_running_one(
    done: list[str], running: str | None, rows: list[int], message: str
) -> None:
    for stage in done:
        run_status.start_stage(stage)
        run_status.count_published(512)
        run_status.finish_stage()
    if running:
        run_status.start_stage(running)
    for count in rows:
        run_status.count_published(count)
    assert run_status.describe_progress() == message + AGAIN
