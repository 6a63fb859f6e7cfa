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

#: What stages import that is of others, and what imports TensorFlow as they do. Nothing else of this project, whose
#: modules may do once a start what is to be done in each.
HEAVY = (
    "tasks.runtime.tensorflow_import",
    "ai_edge_litert.interpreter",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "PIL.ImageCms",
    "pyarrow.dataset",
    "sklearn.manifold",
)
#: A command that takes longer is ended.
SECONDS = 600
#: Seconds between two looks whether a command goes on and somebody still waits for it.
LOOK = 0.01


class Request(NamedTuple):
    """A command.

    Args:
        words: Its words, the first of which is a program written in Python.
        output: The file for its standard output, which exists.
        errors: The one for its standard error.
        environment: All of its environment.
    """

    words: list[str]
    output: str
    errors: str
    environment: dict[str, str]


def serve() -> None:
    """Do what is asked until nobody asks any more."""
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
    """Wait until a command has ended; returns its status, or None where it was killed since nobody waits any more."""
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        # Nothing is asked meanwhile: what is to be read there then is the end.
        if select.select([sys.stdin], [], [], LOOK)[0]:
            os.kill(child, signal.SIGKILL)
            return None
    return ended[1]


def become(request: Request) -> None:
    """Be this command from here on, as if Python had been started with it."""
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
