"""Locks of a night and of a data root: one process at a time, and none outlives its holder."""

import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.artifacts import alone, share
from tasks.errors import StoreError
from tests.artifacts.processes import started

HOLDER = """
import sys
from pathlib import Path
from tasks.artifacts import hold

waited = hold(Path(sys.argv[1]), "the run of flowers for today")
again = hold(Path(sys.argv[1]), "the run of flowers for today")
print("ready", flush=True)
sys.stdin.readline()
print(waited, again)
"""

WAITER = f'print("ready", flush=True)\n{HOLDER.replace("ready", "inside")}'

SHARER = """
import sys
from pathlib import Path
from tasks.artifacts import share

share(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""


def line_of(process: subprocess.Popen[str], within_s: float) -> str:
    """The next line that a process writes; empty where none comes in time."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], within_s)
    return process.stdout.readline() if readable else ""


def test_one_process_holds_a_night_and_the_next_one_says_that_it_waits(tmp_path: Path) -> None:
    lock = tmp_path / "runs" / "flowers" / ".2026-01-31.lock"
    with started(HOLDER, lock) as holder, started(WAITER, lock) as waiter:
        told = "Another process is at the run of flowers for today; waiting until it has ended.\n"
        assert line_of(waiter, within_s=20) == told
        assert line_of(waiter, within_s=0.3) == ""
        assert holder.communicate("done\n")[0] == "False False\n"
        assert line_of(waiter, within_s=20) == "inside\n"
        assert waiter.communicate("done\n")[0] == "True False\n"
    assert not lock.exists()


def test_a_lock_whose_holder_was_killed_stays_there_and_locks_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "night.lock"
    with started(HOLDER, lock) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=20)
    assert lock.exists()
    with started(HOLDER, lock) as next_one:
        assert next_one.communicate("done\n")[0] == "False False\n"
    assert not lock.exists()


def test_of_many_that_wait_one_holds_at_a_time_whoever_removes_the_file(tmp_path: Path) -> None:
    lock, counter = tmp_path / "night.lock", tmp_path / "inside"
    script = """
import os, sys, time
from pathlib import Path
from tasks.artifacts import hold

print("ready", flush=True)
sys.stdin.readline()
hold(Path(sys.argv[1]), "it")
os.mkdir(sys.argv[2])
time.sleep(0.02)
os.rmdir(sys.argv[2])
"""
    with started(script, lock, counter) as a, started(script, lock, counter) as b, started(script, lock, counter) as c:
        for process in (a, b, c):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.wait(timeout=20) for process in (a, b, c)] == [0, 0, 0]
    assert not lock.exists()


def test_a_folder_made_for_a_lock_alone_goes_with_it(tmp_path: Path) -> None:
    for name in ("empty", "used"):
        lock = tmp_path / name / "runs" / "night.lock"
        with started(HOLDER, lock) as holder:
            if name == "used":
                (lock.parent / "record.json").touch()
            holder.communicate("done\n")
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_runs_share_a_data_root_which_nobody_then_has_alone(tmp_path: Path) -> None:
    with started(SHARER, tmp_path) as one, started(SHARER, tmp_path) as other:
        for process in (one, other):
            with pytest.raises(StoreError, match="A run is under way"), alone(tmp_path):
                pass
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
    with alone(tmp_path):
        pass


def test_a_run_waits_while_somebody_has_the_data_root_alone(tmp_path: Path) -> None:
    waiter = f'print("ready", flush=True)\n{SHARER.replace("ready", "inside")}'
    with alone(tmp_path):
        process = subprocess.Popen([sys.executable, "-c", waiter, tmp_path], stdout=subprocess.PIPE, text=True)
        assert line_of(process, within_s=20) == "ready\n"
        assert line_of(process, within_s=0.3) == ""
    with process:
        assert line_of(process, within_s=20) == "inside\n"
        process.kill()


def test_a_data_root_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    share(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_who_shares_a_data_root_may_have_it_alone_for_a_moment_and_shares_it_again(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from tasks.artifacts import alone, share

root = Path(sys.argv[1])
share(root)
with alone(root):
    pass
print("ready", flush=True)
sys.stdin.readline()
try:
    with alone(root):
        print("alone", flush=True)
except Exception as exc:
    print(type(exc).__name__, flush=True)
sys.stdin.readline()
"""
    with started(script, tmp_path) as process:
        with started(SHARER, tmp_path) as other:
            assert process.stdin is not None
            process.stdin.write("again\n")
            process.stdin.flush()
            assert line_of(process, within_s=20) == "StoreError\n"
            other.kill()
            other.wait(timeout=20)
        # It was refused, but it has not lost its own share.
        with pytest.raises(StoreError, match="A run is under way"), alone(tmp_path):
            pass
