"""Commands that run while a test goes on."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.repository import REPOSITORY

#: Seconds that a command may take on a busy machine.
SECONDS = 120.0


def begin(words: Sequence[str], folder: Path, environment: Mapping[str, str] = os.environ) -> "Command":
    """Start a command from the repository's root, with all its processes in a session, and go on meanwhile.

    Args:
        words: Its words.
        folder: Where the file of what it writes is made.
        environment: All of its environment.
    """
    output = folder / f"output-{time.monotonic_ns()}"
    with output.open("w") as file:
        process = subprocess.Popen(
            words, cwd=REPOSITORY, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Command(process, output)


@dataclass(frozen=True)
class Command:
    """A command that was started."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        """What it wrote so far."""
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until it says something."""
        until(lambda: text in self.said() or self.process.poll() is not None, SECONDS)
        assert text in self.said(), self.said()

    def end(self, seconds: float = SECONDS) -> int:
        """Wait until it has ended; returns its exit code."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End all of it at once, where it has not."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
