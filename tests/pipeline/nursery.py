"""Becomes `luigi` as often as it is asked to: each time in a fork, which finds imported what takes seconds to import.

Standard input holds a request a line, as JSON. Standard output gets a line for each: the exit code of the command, or
the number of the signal that ended it, negative.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
from typing import NamedTuple

#: Libraries that stages import. No other module of this project: some do things once in each process.
HEAVY = (
    "tasks.runtime.tensorflow_import",
    "ai_edge_litert.interpreter",
    "jinja2",
    "PIL.ImageCms",
    "pyarrow.dataset",
    "scipy.special",
)
#: A command that takes longer is ended.
SECONDS = 600
#: Seconds between two checks whether a command has ended, or the process that asked for it.
LOOK = 0.01


class Request(NamedTuple):
    """A command."""

    words: list[str]  #: Words of the command; the first is a program written in Python.
    output: str  #: Existing file for standard output.
    errors: str  #: Existing file for standard error.
    environment: dict[str, str]  #: The whole environment.


def serve() -> None:
    """Run each requested command until standard input is closed."""
    for module in HEAVY:
        importlib.import_module(module)
    gc.freeze()
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            become(Request(*json.loads(line)))
            return
        status = wait_for(child)
        if status is None:
            return
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def wait_for(child: int) -> int | None:
    """Wait until a command has ended; returns its status, or None where standard input was closed before."""
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        # No request comes meanwhile: standard input is readable only when it is closed.
        if select.select([sys.stdin], [], [], LOOK)[0]:
            os.kill(child, signal.SIGKILL)
            return None
    return ended[1]


def become(request: Request) -> None:
    """Become a command, as if Python had been started with it."""
    signal.alarm(SECONDS)
    os.environ.clear()
    os.environ.update(request.environment)
    for number, name in enumerate((os.devnull, request.output, request.errors)):
        descriptor = os.open(name, os.O_RDWR)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = request.words
    runpy.run_path(request.words[0], run_name="__main__")


if __name__ == "__main__":
    serve()
