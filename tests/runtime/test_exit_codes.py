"""The exit code of Luigi's program is that of the first error, whatever is logged."""

import json
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
from tests.support.processes import Finished, run


class Fail(RunStageTask):
    """A stage that fails; of two the one without a name waits for the other's failure."""

    first: luigi.Parameter[str] = luigi.Parameter(default="", description="Set for the stage that fails first.")

    stage = "fail"

    @property
    def priority(self) -> int:  # type: ignore[override]  # as Luigi's own documentation has it
        """Let the first one run first where there is one worker."""
        return len(self.first)

    def manifest_path(self) -> AnyPath:
        """Return a path in the data root."""
        return self.root.path / "fail" / f"{self.first}.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it reports none)
        """Fail."""
        if self.first:
            raise StoreError("a damaged shard")
        while not any(self.root.path.glob("fail/seen")):
            time.sleep(0.01)
        raise DatasetError("no photos")


class FailTwice(luigi.WrapperTask):
    """Two stages that fail with different errors, one after the other."""

    data_root: luigi.Parameter[str] = luigi.Parameter(description="The data root.")

    def requires(self) -> list[luigi.Task]:
        """Return both stages."""
        context = RunContext(self.data_root)
        return [Fail(context=context, first="first"), Fail(context=context)]


def _mark_failed(task: Fail, _: BaseException) -> None:
    # Luigi logs a failure before it calls the handlers.
    publish_bytes(task.root.path / "fail" / "seen", b"")


Fail.event_handler(luigi.Event.FAILURE)(_mark_failed)


def run_luigi(task: str, root: Path, *options: str) -> Finished:
    command = (sys.executable, "-m", "tests.support.luigi_program", "--module", __name__)
    where = ("--data-root", root) if task == "FailTwice" else ("--context", json.dumps({"data_root": str(root)}))
    return run([*command, task, *where, *options])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_first_of_two_failures_decides_the_exit_code(tmp_path: Path, workers: str) -> None:
    done = run_luigi("FailTwice", tmp_path, "--workers", workers)
    assert sorted(done.errors.splitlines()) == ["ERROR: a damaged shard", "ERROR: no photos"]
    assert done.code == 55


@pytest.mark.parametrize("level", ["CRITICAL", "ERROR", "DEBUG"])
def test_log_level_decides_what_is_logged_and_not_the_exit_code(tmp_path: Path, level: str) -> None:
    done = run_luigi("Fail", tmp_path, "--first", "first", "--log-level", level)
    assert done.code == 55
    assert ("ERROR: a damaged shard\n" in done.errors) == (level != "CRITICAL")
    assert ("tasks.errors.StoreError: a damaged shard" in done.errors) == (level == "DEBUG")
    assert ("Traceback (most recent call last)" in done.errors) == (level == "DEBUG")
