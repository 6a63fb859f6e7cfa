"""Commands that tests start: each in a session of its own, of which nothing is left afterwards."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from tests.support.repository import REPOSITORY

#: Seconds after which something that a test waits for has failed: many times what it takes on a busy machine.
TIMEOUT = 600.0
#: The same for a command that was told to end.
STOP_TIMEOUT = 60.0


@dataclass(frozen=True)
class Finished:
    """A command that has ended: its exit code (negative: the signal that ended it) and what it wrote."""

    code: int
    output: str
    errors: str


@contextmanager
def running(
    words: Sequence[object],
    environment: Mapping[str, str] | None = None,
    *,
    stdin: int | None = subprocess.PIPE,
    stdout: int | IO[Any] | None = subprocess.PIPE,
    stderr: int | IO[Any] | None = None,
    folder: Path = REPOSITORY,
) -> Iterator[subprocess.Popen[str]]:
    """Start a command; it is killed with all its session when the block ends.

    Args:
        words: The command.
        environment: All of its environment; that of this process if there is none.
        stdin: Its standard input, as `subprocess` takes it.
        stdout: Its standard output.
        stderr: Its standard error.
        folder: Its current folder.
    """
    process = subprocess.Popen(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            kill(process)


def run(words: Sequence[object], environment: Mapping[str, str] | None = None, folder: Path = REPOSITORY) -> Finished:
    """Run a command, by default from the repository's root, to its end; see `running`."""
    with running(words, environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, folder=folder) as process:
        output, errors = process.communicate(timeout=TIMEOUT)
    return Finished(process.returncode, output, errors)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a command that `running` started, and all that is left of its session."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while left := session(process.pid):
        assert time.monotonic() < deadline, f"cannot be killed: {left}"
        for member in left:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        time.sleep(0.005)
    process.wait(STOP_TIMEOUT)


def stop(process: subprocess.Popen[str], *signals: signal.Signals, whole_group: bool = False) -> Finished:
    """Send signals to a command, one right after the other, and see it end with all that it has started.

    Args:
        process: A command that `running` started.
        signals: The signals.
        whole_group: Whether to send them to all its processes, as a terminal does on Ctrl-C.
    """
    started = descendants(process.pid)
    for number in signals:
        if whole_group:
            # The command is not waited for yet, so that its number is still its own.
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        time.sleep(0.01)
    output, errors = process.communicate(timeout=STOP_TIMEOUT)
    assert_gone(started | session(process.pid))
    return Finished(process.returncode, output, errors)


def descendants(process: int) -> set[psutil.Process]:
    """All living processes that a process has started, and those that these have."""
    try:
        found = psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    return set(filter(is_alive, found))


def session(leader: int) -> set[psutil.Process]:
    """All living processes of a session, its leader too."""
    found = set()
    for number in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(number) == leader:
                found.add(psutil.Process(number))
    return set(filter(is_alive, found))


def is_alive(process: psutil.Process) -> bool:
    """Whether a process works; a zombie has ended, and only its parent has not looked yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until processes have ended; those that stay fail the test, and are killed."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while (left := list(filter(is_alive, processes))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert left == [], "nothing of it may go on"


def read_line(process: subprocess.Popen[str], seconds: float = TIMEOUT) -> str:
    """The next line of a command's standard output; what there is of it where no more comes in time.

    It is read past the buffer of `process.stdout`: a line that waited there would not be seen by `select`.
    """
    assert process.stdout is not None
    line, deadline = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        piece = os.read(process.stdout.fileno(), 1)
        if not piece:
            break
        line += piece
    return line.decode()


def write_line(process: subprocess.Popen[str], line: str = "") -> None:
    """Send a line to a command's standard input."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@dataclass(frozen=True)
class Command:
    """A command whose output goes to a file, so that it can be looked at meanwhile."""

    process: subprocess.Popen[str]
    output: Path

    def said(self) -> str:
        """What it wrote so far."""
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until it says something."""
        until(lambda: text in self.said() or self.process.poll() is not None)
        assert text in self.said(), self.said()

    def end(self) -> int:
        """Wait until it has ended; returns its exit code."""
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        """Kill it with all its session."""
        kill(self.process)


@contextmanager
def background_command(
    words: Sequence[object], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Command]:
    """Start a command that writes to a file; see `running`.

    Args:
        words: The command.
        folder: Where the file is made.
        environment: All of its environment; that of this process if there is none.
    """
    output = folder / f"output-{time.monotonic_ns()}"
    with (
        output.open("w") as file,
        running(words, environment, stdin=None, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        yield Command(process, output)


def until(true: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
