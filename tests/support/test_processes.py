"""Commands that tests start are killed with their sessions, and processes that outlive them are found."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.support import processes
from tests.support.processes import descendants, is_alive, read_line, running, session, stop

#: Starts another process, in a session of its own or not, prints its number, and waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session={})
print(child.pid, flush=True)
time.sleep(3600)
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.5)


def test_all_processes_of_a_command_are_gone_when_the_block_ends() -> None:
    with running([sys.executable, "-c", PARENT.format(False)]) as process:
        child = psutil.Process(int(read_line(process)))
        assert session(process.pid) == {psutil.Process(process.pid), child}
    assert process.returncode == -signal.SIGKILL
    assert not is_alive(child)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("detached", [False, True])
def test_a_process_that_outlives_its_command_fails_the_test_and_is_killed(detached: bool) -> None:
    with running([sys.executable, "-c", PARENT.format(detached)], stderr=None) as process:
        child = psutil.Process(int(read_line(process)))
        assert process.stdout is not None
        process.stdout.close()
        with pytest.raises(AssertionError, match="nothing of it may go on"):
            stop(process, signal.SIGTERM)
    processes.until(lambda: not is_alive(child))


@pytest.mark.usefixtures("impatient")
def test_a_command_that_does_not_stop_fails_the_test() -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
    with running([sys.executable, "-c", script]) as process:
        read_line(process)
        with pytest.raises(subprocess.TimeoutExpired):
            stop(process, signal.SIGTERM)
    assert process.returncode == -signal.SIGKILL


def test_a_command_that_has_just_ended_has_left_nothing() -> None:
    with running([sys.executable, "-c", ""]) as process:
        process.wait(processes.TIMEOUT)
        assert descendants(process.pid) == session(process.pid) == set()
        assert stop(process, signal.SIGTERM).code == 0


def test_lines_that_come_together_are_read_one_by_one() -> None:
    with running([sys.executable, "-c", r"print('one\ntwo\nthr', end='', flush=True); input()"]) as process:
        assert [read_line(process), read_line(process), read_line(process, 1.0)] == ["one\n", "two\n", "thr"]
