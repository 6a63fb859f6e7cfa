"""The exit code of Luigi's program is that of the first error, whatever is logged."""

import sys
import time
from pathlib import Path

import luigi
import pytest

from tasks.errors import DatasetError, StoreError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import publish_bytes
from tests.support.processes import run


class Fail(RunStageTask):
    """A stage that fails; of two the one without a name waits for the other's failure."""

    first: luigi.Parameter[str] = luigi.Parameter(default="", description="Set for the stage that fails first.")

    stage = "fail"

    @property
    def priority(self) -> int:  # type: ignore[override]  # as Luigi's own documentation has it
        """Let the first one run first where there is one worker."""
        return len(self.first)

    def manifest_path(self) -> AnyPath:
        return self.root.path / "fail" / f"{self.first}.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it reports none)
        if self.first:
            raise StoreError("a damaged shard")
        while not any(self.root.path.glob("fail/seen")):
            time.sleep(0.01)
        raise DatasetError("no photos")


class FailTwice(luigi.WrapperTask):
    """Two stages that fail with different errors, one after the other."""

    data_root: luigi.Parameter[str] = luigi.Parameter(description="The data root.")

    def requires(self) -> list[luigi.Task]:
        context = RunContext(self.data_root)
        return [Fail(context=context, first="first"), Fail(context=context)]


def _mark_failed(task: Fail, _: BaseException) -> None:
    # Luigi logs a failure before it calls the handlers.
    publish_bytes(task.root.path / "fail" / "seen", b"")


Fail.event_handler(luigi.Event.FAILURE)(_mark_failed)


@pytest.mark.parametrize(("workers", "level"), [("1", "ERROR"), ("2", "ERROR"), ("2", "CRITICAL"), ("1", "DEBUG")])
def test_first_of_two_failures_decides_the_exit_code_at_any_log_level(tmp_path: Path, workers: str, level: str) -> None:
    command = (sys.executable, "-m", "tests.support.luigi_program", "--module", __name__, "FailTwice")
    done = run([*command, "--data-root", tmp_path, "--workers", workers, "--log-level", level])
    assert done.code == 55
    messages = [line for line in done.errors.splitlines() if line.startswith("ERROR: ") or level != "DEBUG"]
    assert sorted(messages) == ([] if level == "CRITICAL" else ["ERROR: a damaged shard", "ERROR: no photos"])
    for text in ("Traceback (most recent call last)", "tasks.errors.StoreError: a damaged shard"):
        assert (text in done.errors) == (level == "DEBUG")
