"""Locks of a night and of a data root: one process at a time, and none outlives its holder."""

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.storage.locks import lock_root, lock_shared
from tests.storage.processes import MOMENT, finish, started
from tests.support.processes import TIMEOUT, read_line, write_line

HOLDER = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_until_exit

waited = lock_until_exit(Path(sys.argv[1]), "the run of flowers for today")
again = lock_until_exit(Path(sys.argv[1]), "the run of flowers for today")
print("ready", flush=True)
sys.stdin.readline()
print(waited, again)
"""

WAITER = f'print("ready", flush=True)\n{HOLDER.replace("ready", "inside")}'

SHARER = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_shared

lock_shared(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_one_process_holds_a_night_and_the_next_one_says_that_it_waits(tmp_path: Path) -> None:
    lock = tmp_path / "runs" / "flowers" / ".2026-01-31.lock"
    with started(HOLDER, lock) as holder, started(WAITER, lock) as waiter:
        told = "Another process is at the run of flowers for today; waiting until it has ended.\n"
        assert read_line(waiter) == told
        assert read_line(waiter, MOMENT) == ""
        assert finish(holder) == "False False\n"
        assert read_line(waiter) == "inside\n"
        assert finish(waiter) == "True False\n"
    assert not lock.exists()


def test_a_lock_whose_holder_was_killed_stays_there_and_locks_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "night.lock"
    with started(HOLDER, lock) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(TIMEOUT)
    assert lock.exists()
    with started(HOLDER, lock) as next_one:
        assert finish(next_one) == "False False\n"
    assert not lock.exists()


def test_of_many_that_wait_one_holds_at_a_time_whoever_removes_the_file(tmp_path: Path) -> None:
    lock, counter = tmp_path / "night.lock", tmp_path / "inside"
    script = """
import os, sys, time
from pathlib import Path
from tasks.storage.locks import lock_until_exit

print("ready", flush=True)
sys.stdin.readline()
lock_until_exit(Path(sys.argv[1]), "it")
os.mkdir(sys.argv[2])
time.sleep(0.02)
os.rmdir(sys.argv[2])
"""
    with started(script, lock, counter) as a, started(script, lock, counter) as b, started(script, lock, counter) as c:
        for process in (a, b, c):
            write_line(process)
        assert [process.wait(TIMEOUT) for process in (a, b, c)] == [0, 0, 0]
    assert not lock.exists()


def test_a_folder_made_for_a_lock_alone_goes_with_it(tmp_path: Path) -> None:
    for name in ("empty", "used"):
        lock = tmp_path / name / "runs" / "night.lock"
        with started(HOLDER, lock) as holder:
            if name == "used":
                (lock.parent / "record.json").touch()
            finish(holder)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_runs_share_a_data_root_which_nobody_then_has_alone(tmp_path: Path) -> None:
    with started(SHARER, tmp_path) as one, started(SHARER, tmp_path) as other:
        for process in (one, other):
            with pytest.raises(StoreError, match="A run is under way"), lock_root(tmp_path):
                pass
            process.send_signal(signal.SIGKILL)
            process.wait(TIMEOUT)
    with lock_root(tmp_path):
        pass


def test_a_run_waits_while_somebody_has_the_data_root_alone(tmp_path: Path) -> None:
    waiter = f'print("ready", flush=True)\n{SHARER.replace("ready", "inside")}'
    with ExitStack() as rest:
        with lock_root(tmp_path):
            process = rest.enter_context(started(waiter, tmp_path))
            assert read_line(process, MOMENT) == ""
        assert read_line(process) == "inside\n"


def test_a_data_root_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    lock_shared(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_who_shares_a_data_root_may_have_it_alone_for_a_moment_and_shares_it_again(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_root, lock_shared

root = Path(sys.argv[1])
lock_shared(root)
with lock_root(root):
    pass
print("ready", flush=True)
sys.stdin.readline()
try:
    with lock_root(root):
        print("alone", flush=True)
except Exception as exc:
    print(type(exc).__name__, flush=True)
sys.stdin.readline()
"""
    with started(script, tmp_path) as process:
        with started(SHARER, tmp_path) as other:
            write_line(process)
            assert read_line(process) == "StoreError\n"
            other.kill()
            other.wait(TIMEOUT)
        # It was refused, but it has not lost its own share.
        with pytest.raises(StoreError, match="A run is under way"), lock_root(tmp_path):
            pass
