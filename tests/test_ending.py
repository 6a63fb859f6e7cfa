"""How Luigi's program ends: at once where it is asked to, with a word on what is kept, and nothing left behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import luigi
import psutil
import pytest

from tasks import standing
from tasks.artifacts import Outcome, exclusive, listed, publish_bytes
from tasks.decode.process import WorkerProcess
from tasks.ending import take_over
from tasks.errors import DatasetError, StoreError
from tasks.events import emit, write_as
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.stage import StageTask
from tests.background import until
from tests.object_store import ObjectStore
from tests.repository import REPOSITORY

COMMAND = (sys.executable, "-m", "luigi", "--module", "tests.test_ending")
SECONDS_TO_END = 5.0


class Linger(StageTask):
    """A stage that keeps three rows and then takes its time."""

    at: luigi.Parameter[str] = luigi.Parameter(default="sleep", description="Over what.")

    stage = "linger"

    def manifest_path(self) -> AnyPath:
        """In the data root."""
        return self.root.path / "linger" / "manifest.json"

    def work(self, progress: Progress) -> Outcome:  # noqa: ARG002 (it is too short to tell of any)
        """Be the only one to publish, say so by a file, and go on for minutes."""
        with exclusive(self.root.path / "place"):
            return self._linger()

    def _linger(self) -> Outcome:
        publish_bytes(self.root.path / "linger" / "published", b"whole")
        standing.keep(3)
        if self.at == "process":
            process: WorkerProcess[int, int] = WorkerProcess(list)
            assert list(process.do([5])) == [5]
        publish_bytes(self.root.path / "ready", b"")
        match self.at:
            case "native":
                # One step for Python, as a network's is, and without its lock.
                hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
            case "deaf":
                while True:
                    emit("told", "x" * 4096)
            case "done":
                return Outcome("cafe", "beef", {}, 3, 3, 0)
        time.sleep(60)
        raise AssertionError("nobody stopped it")


class Fail(StageTask):
    """A stage that fails of what it is told to."""

    first: luigi.Parameter[str] = luigi.Parameter(default="", description="Which one.")

    stage = "fail"

    @property
    def priority(self) -> int:  # type: ignore[override]  # as Luigi's own documentation has it
        """The first one goes first where there is one worker."""
        return len(self.first)

    def manifest_path(self) -> AnyPath:
        """In the data root."""
        return self.root.path / "fail" / f"{self.first}.json"

    def work(self, progress: Progress) -> Outcome:  # noqa: ARG002 (it is too short to tell of any)
        """Fail; the second one of two fails later."""
        if self.first:
            raise DatasetError("no photos")
        while not any(self.root.path.glob("fail/seen")):
            time.sleep(0.01)
        raise StoreError("a damaged shard")


class Both(luigi.WrapperTask):
    """Two stages that fail of different things, the one after the other."""

    data_root: luigi.Parameter[str] = luigi.Parameter(description="Folder of all.")

    def requires(self) -> list[luigi.Task]:
        """Both."""
        return [Fail(data_root=self.data_root, first="first"), Fail(data_root=self.data_root)]


@Fail.event_handler(luigi.Event.FAILURE)  # type: ignore[no-untyped-call, untyped-decorator]  # Luigi's has no types
def _seen(task: Fail, _: BaseException) -> None:
    # Luigi logs a failure before it tells of it.
    publish_bytes(task.root.path / "fail" / "seen", b"")


if os.environ.get("EVENTS") == "json":
    write_as("json")


@contextmanager
def lingering(root: AnyPath, at: str, *options: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start the stage by the real `luigi`, in a session of its own, and wait until it lingers."""
    process = subprocess.Popen(
        [*COMMAND, "Linger", "--data-root", str(root), "--at", at, *options],
        cwd=REPOSITORY,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            until(lambda: (root / "ready").exists() or process.poll() is not None, 60)
            assert (root / "ready").exists()
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str], signals: Sequence[signal.Signals]) -> tuple[str, str]:
    """Send signals, one at once after the other, and see it and all that it started end."""
    family = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    told = process.communicate(timeout=SECONDS_TO_END)
    _, alive = psutil.wait_procs(family, timeout=SECONDS_TO_END - (time.monotonic() - started))
    assert not alive
    return told


@pytest.mark.parametrize(
    ("at", "options"),
    [("native", ()), ("process", ()), ("process", ("--workers", "2", "--worker-force-multiprocessing"))],
    ids=["in a long native call", "with a process of its own", "in a worker of Luigi's"],
)
@pytest.mark.parametrize("name", ["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_run_and_all_its_processes_and_says_what_is_kept(
    tmp_path: Path, at: str, options: tuple[str, ...], name: str
) -> None:
    number, code = (signal.SIGINT, 130) if name == "Ctrl-C" else (signal.SIGTERM, 143)
    with lingering(tmp_path, at, *options) as process:
        output, errors = stop(process, [number])
    assert process.returncode == code
    assert output == ""
    # The program that started the worker knows that something is kept, not how much.
    where = "" if options else " in the stage linger"
    kept = "What was published before is kept" if options else "Kept are 3 new rows of linger"
    assert errors == f"\nStopped by {name}{where}. {kept}; run the same command again to go on from there.\n"
    assert (tmp_path / "linger" / "published").read_bytes() == b"whole"


def test_of_two_signals_the_first_counts_and_the_second_does_no_harm(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep") as process:
        _, errors = stop(process, [signal.SIGINT, signal.SIGTERM, signal.SIGINT])
    assert process.returncode == 130
    assert errors.count("Stopped by") == 1


def test_who_waits_at_an_object_store_for_a_run_that_a_signal_ends_need_not_wait_until_its_leases_are_over(
    object_store: ObjectStore,
) -> None:
    root = to_path(object_store.url("data"))
    with lingering(root, "sleep") as process:
        [lock] = listed(root / "place" / ".lock")
        assert not json.loads(lock.read_bytes())["released"]
        assert len(listed(root / ".running")) == 1
        stop(process, [signal.SIGTERM])
    assert process.returncode == 143
    assert json.loads(lock.read_bytes())["released"]
    assert listed(root / ".running") == []


def test_a_reader_that_has_stopped_to_read_holds_nothing_up(tmp_path: Path) -> None:
    with lingering(tmp_path, "deaf") as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS_TO_END) == 143


def test_a_reader_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=SECONDS_TO_END) == 143


def test_a_program_that_listens_is_told_with_the_exit_code(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep", EVENTS="json") as process:
        output, _ = stop(process, [signal.SIGTERM])
    last = json.loads(output.splitlines()[-1])
    assert (last["event"], last["signal"], last["exit_code"]) == ("stopped", "SIGTERM", 143)


def test_a_run_that_nobody_stops_ends_with_0(tmp_path: Path) -> None:
    with lingering(tmp_path, "done") as process:
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_of_two_failures_the_first_one_s_kind_is_the_exit_code(tmp_path: Path, workers: str) -> None:
    done = subprocess.run(
        [*COMMAND, "Both", "--data-root", tmp_path, "--workers", workers],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert sorted(done.stderr.splitlines()) == ["ERROR: a damaged shard", "ERROR: no photos"]
    assert done.returncode == 52


def test_any_other_program_answers_signals_as_it_did() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    take_over()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
