"""Luigi's program ends at once on Ctrl-C and SIGTERM, reports what is kept, and leaves no process behind."""

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
from tasks.events import emit, set_format
from tasks.paths import AnyPath, to_path
from tasks.progress import Progress
from tasks.runtime import run_status
from tasks.shards.manifests import StageResult
from tasks.stage import RunStageTask
from tasks.storage.files import listed, lock_folder, publish_bytes
from tests.support.processes import STOP_TIMEOUT, assert_gone, descendants, running, stop, until
from tests.support.servers.object_store import ObjectStore

COMMAND = (sys.executable, "-m", "tests.support.luigi_program", "--module", "tests.runtime.test_signals")


class Linger(RunStageTask):
    """A stage that publishes three rows and then waits to be stopped."""

    at: luigi.Parameter[str] = luigi.Parameter(default="sleep", description="What it does when it is stopped.")

    stage = "linger"

    def manifest_path(self) -> AnyPath:
        return self.root.path / "linger" / "manifest.json"

    def work(self, progress: Progress) -> StageResult:  # noqa: ARG002 (it reports none)
        """Lock a folder, publish, create the file `ready`, and go on for longer than any test waits."""
        with lock_folder(self.root.path / "place"):
            self._linger()
        raise AssertionError("The stage was not stopped.")

    def _linger(self) -> None:
        publish_bytes(self.root.path / "linger" / "published", b"whole")
        run_status.count_published(3)
        if self.at == "process":
            process: WorkerProcess[int, int] = WorkerProcess(abs)
            assert list(process.map([5])) == [5]
        if self.at == "json":
            set_format("json")
        publish_bytes(self.root.path / "ready", b"")
        if self.at == "native":
            # One call for Python, as a forward pass is, and without its lock.
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
        while self.at == "flood":
            emit("told", "x" * 4096)
        time.sleep(10 * STOP_TIMEOUT)


@contextmanager
def lingering(root: AnyPath, at: str, *options: str) -> Iterator[Popen[str]]:
    """Start the stage in Luigi's program, and wait until it can be stopped."""
    words = [*COMMAND, "Linger", "--context", json.dumps({"data_root": str(root)}), "--at", at, *options]
    with running(words, stdin=None, stderr=PIPE) as process:
        until(lambda: (root / "ready").exists() or process.poll() is not None)
        assert (root / "ready").exists()
        yield process


def unread(process: Popen[str]) -> int:
    """Number of bytes that wait in the pipe of standard output."""
    assert process.stdout is not None
    return int.from_bytes(ioctl(process.stdout, FIONREAD, bytes(4)), sys.byteorder)


def stop_unread(process: Popen[str]) -> int:
    """Send SIGTERM and wait for the process and all its children, without reading; returns the exit code."""
    started = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    code = process.wait(STOP_TIMEOUT)
    assert_gone(started)
    return code


@pytest.mark.parametrize(
    ("at", "options", "name"),
    [
        ("native", (), "Ctrl-C"),
        ("process", (), "SIGTERM"),
        ("process", ("--workers", "2", "--worker-force-multiprocessing"), "Ctrl-C"),
        ("process", ("--workers", "2", "--worker-force-multiprocessing"), "SIGTERM"),
    ],
    ids=["in a long native call", "with a process of its own", "in a worker of Luigi's", "in a worker by SIGTERM"],
)
def test_signal_ends_the_run_with_all_its_processes_and_reports_what_is_kept(
    tmp_path: Path, at: str, options: tuple[str, ...], name: str
) -> None:
    number, code = (signal.SIGINT, 130) if name == "Ctrl-C" else (signal.SIGTERM, 143)
    with lingering(tmp_path, at, *options) as process:
        ended = stop(process, number)
    assert (ended.code, ended.output) == (code, "")
    # The parent of the worker does not know how much the worker published.
    where = "" if options else " in the stage linger"
    kept = "Earlier results are kept" if options else "Kept are 3 new rows of linger"
    assert ended.errors == f"\nStopped by {name}{where}. {kept}; run the same command again to go on from there.\n"
    assert (tmp_path / "linger" / "published").read_bytes() == b"whole"


def test_first_of_several_signals_decides_the_exit_code_and_the_last_event_of_json_output(tmp_path: Path) -> None:
    with lingering(tmp_path, "json") as process:
        ended = stop(process, signal.SIGINT, signal.SIGTERM, signal.SIGINT)
    assert ended.code == 130
    assert ended.errors.count("Stopped by") == 1
    last = json.loads(ended.output.splitlines()[-1])
    assert (last["event"], last["signal"], last["exit_code"]) == ("stopped", "Ctrl-C", 130)


def test_signal_releases_the_leases_on_an_object_store(object_store: ObjectStore) -> None:
    root = to_path(object_store.url("data"))
    with lingering(root, "sleep") as process:
        [lock] = listed(root / "place" / ".lock")
        assert not json.loads(lock.read_bytes())["released"]
        assert len(listed(root / ".running")) == 1
        assert stop(process, signal.SIGTERM).code == 143
    assert json.loads(lock.read_bytes())["released"]
    assert listed(root / ".running") == []


def test_run_ends_though_nobody_reads_its_output(tmp_path: Path) -> None:
    with lingering(tmp_path, "flood") as process:
        until(lambda: unread(process) > 0)
        seen = 0
        while seen < unread(process):
            seen = unread(process)
            time.sleep(0.3)
        assert stop_unread(process) == 143


def test_run_ends_though_its_output_is_closed(tmp_path: Path) -> None:
    with lingering(tmp_path, "sleep") as process:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        assert stop_unread(process) == 143
