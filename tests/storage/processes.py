"""Starts real processes that publish, so that tests can kill them in the middle."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.processes import TIMEOUT, read_line, running

#: Begins every script: its first argument is a path.
PATH = """
import os, sys
from tasks.paths import to_path
from tasks.storage.files import lock_folder, storage_at

path = to_path(sys.argv[1])
"""

HOLDER = f"""{PATH}
waited = storage_at(path).lock_until_exit(path, "the run of flowers for today")
again = storage_at(path).lock_until_exit(path, "the run of flowers for today")
print("ready", flush=True)
sys.stdin.readline()
print(waited, again)
"""

SHARER = f"""{PATH}
storage_at(path).lock_shared(path)
print("ready", flush=True)
sys.stdin.readline()
"""

#: Seconds in which a process that nothing holds up goes on, as a rule: where it is late, a test sees less, and passes.
MOMENT = 0.3


@contextmanager
def started(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a Python script until it prints a line, and kill it at the end if it still runs."""
    with running([sys.executable, "-c", script, *arguments]) as process:
        assert read_line(process) == "ready\n"
        yield process


def finish(process: subprocess.Popen[str]) -> str:
    """Send a waiting process a line, and return its output until its end."""
    return process.communicate("\n", timeout=TIMEOUT)[0]


def waiting(script: str) -> str:
    """A script that is started before it waits, and is inside when it prints its next line."""
    return f'print("ready", flush=True)\n{script.replace("ready", "inside")}'
