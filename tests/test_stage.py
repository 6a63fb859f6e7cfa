"""Stages in Luigi's program, run in a process of its own."""

import errno
import gc
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import luigi
import psutil
import pytest

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.run_context import RunContext
from tasks.shards.manifests import Manifest, StageResult, read_manifest
from tasks.stage import RunStageTask
from tasks.storage.files import publish_bytes
from tests.support import processes
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, Finished, assert_gone, read_line, running

NETWORK_SECONDS = 0.02
SENTENCE = "There are no photos in shelf. Add some."


class Cycle:
    """Refers to itself, so that only the garbage collector deletes it; it reports that."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        os.write(1, b"collected")


class CountPhotos(RunStageTask):
    """A stage that publishes a file and then ends in one of several ways."""

    ends: luigi.Parameter[str] = luigi.Parameter(default="well", description="Way in which it ends.")

    stage = "count"

    def manifest_path(self) -> AnyPath:
        return self.root.path / "count" / "manifest.json"

    def published(self) -> AnyPath:
        return self.manifest_path().with_name("published")

    def work(self, progress: Progress) -> StageResult:
        """Publish a file, then end."""
        with progress.preparing("network"):
            time.sleep(NETWORK_SECONDS)
        progress.start(3, "photos")
        progress.advance(3)
        publish_bytes(self.published(), b"manifest" if self.manifest_path().exists() else b"no manifest")
        self.fail()
        match self.ends:
            case "vanished":
                shutil.rmtree(str(self.root.path))
            case "orphaned":
                os.write(1, f"{os.getpid()}\n".encode())
                time.sleep(10 * STOP_TIMEOUT)
            case "cycle":
                gc.disable()
                Cycle()
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        return StageResult("cafe", "beef", {"size": 288}, 1203, 1200, 3, ("part-a.parquet",), {"reasons": {}})

    def fail(self) -> None:
        match self.ends:
            case "dataset":
                raise DatasetError(SENTENCE)
            case "bug":
                raise ValueError("a bug")
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "shard")


def words(root: Path, ends: str, *options: str, run_id: str = "by hand") -> list[str]:
    context = json.dumps({"data_root": str(root), "run_id": run_id})
    command = [sys.executable, "-m", "tests.support.luigi_program", "--module", "tests.test_stage"]
    return [*command, "CountPhotos", "--context", context, "--ends", ends, *options]


def run(root: Path, ends: str, *options: str, run_id: str = "by hand") -> Finished:
    return processes.run(words(root, ends, *options, run_id=run_id))


@pytest.fixture
def task(tmp_path: Path) -> CountPhotos:
    return CountPhotos(context=RunContext(str(tmp_path)))


def test_manifest_is_published_last_and_describes_the_work(tmp_path: Path, task: CountPhotos) -> None:
    done = run(tmp_path, "well", run_id="2026-01-31-cafe")
    assert (done.code, done.errors) == (0, "")
    assert re.fullmatch(r"count +1,200 new +3 reused +\d+\.\d s +cafe\n", done.output)
    assert task.published().read_bytes() == b"no manifest"
    manifest = task.manifest()
    assert NETWORK_SECONDS <= manifest.startup["network"] <= manifest.seconds < TIMEOUT
    assert manifest == Manifest(
        stage="count",
        run="2026-01-31-cafe",
        seconds=manifest.seconds,
        startup={"network": manifest.startup["network"]},
        key="cafe",
        snapshot="beef",
        settings={"size": 288},
        photos=1203,
        new=1200,
        reused=3,
        shards=("part-a.parquet",),
        details={"reasons": {}},
    )


def test_finished_stage_does_not_run_again(tmp_path: Path, task: CountPhotos) -> None:
    task.run()
    before = task.manifest_path().stat().st_mtime_ns
    done = run(tmp_path, "bug")
    assert (done.code, done.output, done.errors) == (0, "", "")
    assert task.manifest_path().stat().st_mtime_ns == before


@pytest.mark.parametrize("data", ["{", "{}", json.dumps({"schema_version": 0})])
def test_damaged_manifest_counts_as_missing_and_is_replaced(task: CountPhotos, data: str) -> None:
    publish_bytes(task.manifest_path(), data.encode())
    assert not task.complete()
    task.run()
    assert task.complete()
    assert read_manifest(task.manifest_path()).photos == 1203


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one worker", "two workers"])
def test_error_that_the_user_can_correct_is_logged_without_a_traceback(
    tmp_path: Path, task: CountPhotos, options: tuple[str, ...]
) -> None:
    done = run(tmp_path, "dataset", *options)
    assert done.code == 52
    assert done.errors == f"ERROR: {SENTENCE}\n"
    assert done.output == ""
    assert task.published().exists()
    assert not task.manifest_path().exists()


@pytest.mark.parametrize(
    ("ends", "code", "message"),
    [
        ("full", 56, "ERROR: The stage count cannot read or write shard (No space left on device). Make room"),
        ("file", 51, "ERROR: The data root {root} cannot be a folder: {root} is a file. Give another"),
    ],
)
def test_failure_of_the_machine_is_one_line(tmp_path: Path, ends: str, code: int, message: str) -> None:
    root = tmp_path / "root"
    if ends == "file":
        root.write_text("")
    done = run(root, ends)
    assert (done.code, done.output) == (code, "")
    assert done.errors.startswith(message.format(root=root))
    assert done.errors.count("\n") == 1
    assert not CountPhotos(context=RunContext(str(root))).complete()


def test_data_root_that_vanishes_during_the_work_is_created_again(tmp_path: Path, task: CountPhotos) -> None:
    done = run(tmp_path, "vanished")
    assert (done.code, done.errors) == (0, "")
    assert task.complete()


def test_worker_that_the_system_kills_is_logged_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "killed", "--workers", "2")
    assert (done.code, done.output) == (56, "")
    assert done.errors.startswith(
        "ERROR: The process of count was ended by SIGKILL. If nobody did that, the system had"
    )
    assert done.errors.count("\n") == 1


def test_worker_does_not_outlive_the_program(tmp_path: Path) -> None:
    with running(words(tmp_path, "orphaned", "--workers", "2")) as program:
        worker = psutil.Process(int(read_line(program)))
        program.kill()
        assert_gone([worker])


def test_bug_is_logged_with_its_traceback(tmp_path: Path, task: CountPhotos) -> None:
    done = run(tmp_path, "bug")
    assert done.code == 30
    assert "Traceback (most recent call last)" in done.errors
    assert "ValueError: a bug" in done.errors
    assert "in work" in done.errors
    assert not task.manifest_path().exists()


def test_killed_stage_leaves_no_manifest_and_keeps_its_published_file(tmp_path: Path, task: CountPhotos) -> None:
    assert run(tmp_path, "killed").code == -signal.SIGKILL
    assert task.published().exists()
    assert not task.complete()


def test_program_ends_without_collecting_garbage(tmp_path: Path) -> None:
    assert "collected" not in run(tmp_path, "cycle").output


def test_progress_reaches_luigi_in_a_worker(task: CountPhotos) -> None:
    reported: list[object] = []
    task._tell("not in a worker", 10)
    task.set_status_message = task.set_progress_percentage = reported.append
    task._tell("half", 50)
    assert reported == ["half", 50]
