"""Exclusive folders: one process at a time, and no lock outlives its holder."""

import signal
import subprocess
from pathlib import Path

import pytest

from tasks.storage.locks import is_locked, lock_folder
from tests.storage.processes import MOMENT, finish, started
from tests.support.processes import TIMEOUT, read_line

HOLDER = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_folder

with lock_folder(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""

WAITER = """
import sys
from pathlib import Path
from tasks.storage.locks import lock_folder

print("ready", flush=True)
with lock_folder(Path(sys.argv[1])):
    print("inside", flush=True)
"""


def is_inside(waiter: subprocess.Popen[str], within_s: float = TIMEOUT) -> bool:
    """Whether it comes in; before, it may say that it waits."""
    while (line := read_line(waiter, within_s)).startswith("Another process works in "):
        pass
    return line == "inside\n"


@pytest.mark.parametrize("kill", [False, True])
def test_a_second_process_waits_until_the_first_is_done_or_dead(kill: bool, tmp_path: Path) -> None:
    folder = tmp_path / "head"
    with started(HOLDER, folder) as holder, started(WAITER, folder) as waiter:
        assert not is_inside(waiter, MOMENT)
        if kill:
            holder.send_signal(signal.SIGKILL)
        else:
            finish(holder)
        assert is_inside(waiter)


def test_an_exception_lets_the_next_one_in(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training"), lock_folder(tmp_path):
        raise ValueError("training")
    with started(WAITER, tmp_path) as waiter:
        assert is_inside(waiter)


def test_another_folder_is_free(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "one"), started(WAITER, tmp_path / "other") as waiter:
        assert is_inside(waiter)


def test_a_folder_is_locked_as_long_as_its_holder_lives_and_asking_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "head"
    assert not is_locked(folder)
    assert not folder.exists()
    with started(HOLDER, folder) as holder:
        assert is_locked(folder)
        assert is_locked(folder)
        holder.send_signal(signal.SIGKILL)
        holder.wait(TIMEOUT)
        assert not is_locked(folder)
    with lock_folder(folder):
        assert is_locked(folder)
    assert not is_locked(folder)
