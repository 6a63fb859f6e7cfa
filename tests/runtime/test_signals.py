"""How Luigi's program ends: at once where it is asked to, with a word on what is kept, and nothing left behind."""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from subprocess import PIPE, Popen
from termios import FIONREAD

import luigi
import pytest

from tasks.decode.worker_process import WorkerProcess
from tasks.errors import DatasetError, StoreError
from tasks.events import emit, set_format
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.runtime import run_status
from tasks.shards.manifests import StageResult
from tasks.stage import StageTask
from tasks.storage.files import listed, publish_bytes
from tasks.storage.locks import lock_folder
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, assert_gone, descendants, run, running, stop, until
from tests.support.servers.object_store import ObjectStore

COMMAND = (sys.executable, "-m", "tests.support.luigi_program", "--module", "tests.runtime.test_signals")


class Linger(StageTask):
    """A stage that keeps three rows and then takes its time."""

    at: luigi.Parameter[str] = luigi.Parameter(default="sleep", description="Over what.")

    stage = "linger"

    def manifest_path(self) -> AnyPath:
        """In the data root."""
        return self.root.path / "linger" / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it is too short to tell of any)
        """Be the only one to publish, say so by a file, and go on for much longer than any test waits for the end."""
        with lock_folder(self.root.path / "place"):
            return self._linger()

    def _linger(self) -> StageResult:
        publish_bytes(self.root.path / "linger" / "published", b"whole")
        run_status.count_published(3)
        if self.at == "process":
            process: WorkerProcess[int, int] = WorkerProcess(list)
            assert list(process.do([5])) == [5]
        if self.at == "json":
            set_format("json")
        publish_bytes(self.root.path / "ready", b"")
        match self.at:
            case "native":
                # One step for Python, as a network's is, and without its lock.
                hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
            case "deaf":
                while True:
                    emit("told", "x" * 4096)
            case "done":
                return StageResult("cafe", "beef", {}, 3, 3, 0)
        time.sleep(10 * STOP_TIMEOUT)
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

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it is too short to tell of any)
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


def _mark_failed(task: Fail, _: BaseException) -> None:
    # Luigi logs a failure before it calls the handlers.
    publish_bytes(task.root.path / "fail" / "seen", b"")


Fail.event_handler(luigi.Event.FAILURE)(_mark_failed)


@contextmanager
def lingering(root: AnyPath, at: str, *options: str) -> Iterator[Popen[str]]:
    """Start the stage by the real `luigi`, and wait until it lingers."""
    words = [*COMMAND, "Linger", "--data-root", root, "--at", at, *options]
    with running(words, stdin=None, stderr=PIPE) as process:
        until(lambda: (root / "ready").exists() or process.poll() is not None)
        assert (root / "ready").exists()
        yield process


def unread(process: Popen[str]) -> int:
    """How many bytes of standard output nobody has read yet."""
    assert process.stdout is not None
    return int.from_bytes(ioctl(process.stdout, FIONREAD, bytes(4)), sys.byteorder)


def stop_unheard(process: Popen[str]) -> int:
    """Send SIGTERM and see it end with all that it has started, without reading; returns the exit code."""
    started = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    code = process.wait(STOP_TIMEOUT)
    assert_gone(started)
    return code


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
        ended = stop(process, number)
    assert (ended.code, ended.output) == (code, "")
    # The program that started the worker knows that something is kept, not how much.
    where = "" if options else " in the stage linger"
    kept = "What was published before is kept" if options else "Kept are 3 new rows of linger"
    assert ended.errors == f"\nStopped by {name}{where}. {kept}; run the same command again to go on from there.\n"
    assert (tmp_path / "linger" / "published").read_bytes() == b"whole"


def test_of_two_signals_the_first_counts_and_the_second_does_no_harm(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep") as process:
        ended = stop(process, signal.SIGINT, signal.SIGTERM, signal.SIGINT)
    assert ended.code == 130
    assert ended.errors.count("Stopped by") == 1


def test_who_waits_at_an_object_store_for_a_run_that_a_signal_ends_need_not_wait_until_its_leases_are_over(
    object_store: ObjectStore,
) -> None:
    root = to_path(object_store.url("data"))
    with lingering(root, "sleep") as process:
        [lock] = listed(root / "place" / ".lock")
        assert not json.loads(lock.read_bytes())["released"]
        assert len(listed(root / ".running")) == 1
        assert stop(process, signal.SIGTERM).code == 143
    assert json.loads(lock.read_bytes())["released"]
    assert listed(root / ".running") == []


def test_a_reader_that_has_stopped_to_read_holds_nothing_up(tmp_path: Path) -> None:
    with lingering(tmp_path, "deaf") as process:
        until(lambda: unread(process) > 0)
        seen = 0
        while seen < unread(process):
            seen = unread(process)
            time.sleep(0.3)
        assert stop_unheard(process) == 143


def test_a_reader_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        assert stop_unheard(process) == 143


def test_a_program_that_listens_is_told_with_the_exit_code(tmp_path: Path) -> None:
    with lingering(tmp_path, "json") as process:
        ended = stop(process, signal.SIGTERM)
    last = json.loads(ended.output.splitlines()[-1])
    assert (last["event"], last["signal"], last["exit_code"]) == ("stopped", "SIGTERM", 143)


def test_a_run_that_nobody_stops_ends_with_0(tmp_path: Path) -> None:
    with lingering(tmp_path, "done") as process:
        assert process.communicate(timeout=TIMEOUT)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_of_two_failures_the_first_one_s_kind_is_the_exit_code(tmp_path: Path, workers: str) -> None:
    done = run([*COMMAND, "Both", "--data-root", tmp_path, "--workers", workers])
    assert sorted(done.errors.splitlines()) == ["ERROR: a damaged shard", "ERROR: no photos"]
    assert done.code == 52
