"""Commands that tests start, each in a session of its own, which is killed at the end."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any, Self

import psutil

from tests.support.repository import REPOSITORY

#: Seconds after which a wait fails: many times as long as anything takes on a busy machine.
TIMEOUT = 600.0
#: The same for a command that was stopped.
STOP_TIMEOUT = 60.0


@dataclass(frozen=True)
class Finished:
    """A command that has ended: its exit code (negative: the signal that ended it) and what it wrote."""

    code: int
    output: str
    errors: str

    def check(self) -> Self:
        """Check that the exit code is 0; returns the command."""
        assert self.code == 0, self.errors
        return self


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
    """Start a command; its session is killed when the block ends.

    Args:
        words: The command.
        environment: The whole environment; None for that of this process.
        stdin: As `subprocess` takes it, like `stdout` and `stderr`.
        stdout: See `stdin`.
        stderr: See `stdin`.
        folder: The current folder.
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
    """Run a command to its end; see `running`."""
    with running(words, environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, folder=folder) as process:
        output, errors = process.communicate(timeout=TIMEOUT)
    return Finished(process.returncode, output, errors)


def kill(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    while left := session(process.pid):
        assert time.monotonic() < deadline, f"cannot be killed: {left}"
        for member in left:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        time.sleep(0.005)
    process.wait(STOP_TIMEOUT)


def stop(process: subprocess.Popen[str], *signals: signal.Signals, whole_group: bool = False) -> Finished:
    """Send signals to a command of `running` and check that it ends with all processes that it started.

    Args:
        process: The command.
        signals: The signals, sent one right after the other.
        whole_group: Send them to all its processes, as a terminal does on Ctrl-C.
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
    try:
        found = psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    return set(filter(is_alive, found))


def session(leader: int) -> set[psutil.Process]:
    """The living processes of a session, also its leader."""
    found = set()
    for number in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(number) == leader:
                found.add(psutil.Process(number))
    return set(filter(is_alive, found))


def is_alive(process: psutil.Process) -> bool:
    """Whether a process has not ended; a zombie has, and only its parent has not waited for it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until processes have ended; those that stay are killed and fail the test."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while (left := list(filter(is_alive, processes))) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert left == [], "nothing of it may go on"


def read_line(process: subprocess.Popen[str], seconds: float = TIMEOUT, *, errors: bool = False) -> str:
    """Read the next line of a command's standard output or errors, or its beginning if no more comes in time.

    This bypasses the buffer of the stream, whose lines `select` does not see.
    """
    stream = process.stderr if errors else process.stdout
    assert stream is not None
    line, deadline = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        piece = os.read(stream.fileno(), 1)
        if not piece:
            break
        line += piece
    return line.decode()


def read_terminal(terminal: int, text: str = "") -> str:
    """Read a terminal until a text appears, or the other side is closed."""
    seen = b""
    while not text or text.encode() not in seen:
        assert select.select([terminal], [], [], TIMEOUT)[0], seen
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not piece:
            break
        seen += piece
    return seen.decode()


def write_line(process: subprocess.Popen[str], line: str = "") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@dataclass(frozen=True)
class Command:
    """A command that writes its output to a file, which can be read meanwhile."""

    process: subprocess.Popen[str]
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until the output has a text."""
        until(lambda: text in self.said() or self.process.poll() is not None)
        assert text in self.said(), self.said()

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(TIMEOUT)

    def kill(self) -> None:
        kill(self.process)


@contextmanager
def background_command(
    words: Sequence[object], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Command]:
    """Start a command that writes to a file in `folder`; see `running`."""
    output = folder / f"output-{time.monotonic_ns()}"
    with (
        output.open("w") as file,
        running(words, environment, stdin=None, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        yield Command(process, output)


def kill_at(step: int) -> None:
    """Let this process die before the file or folder of this number that it renames or removes, from 0."""
    steps = count()

    def hook(event: str, _: object) -> None:
        if event in ("os.rename", "os.remove", "os.rmdir") and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def until(true: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
