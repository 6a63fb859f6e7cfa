"""Kills the process that loads it at a chosen place; Python loads it if its folder is on PYTHONPATH.

A place is an audit event on a path below the data root: a file is opened for writing, renamed or removed, or a folder
is made. Hashes and numbers in the path are written as `#`, so that a place is the same in every run.

Environment:
    KILL_ROOT: The data root. Without it this module does nothing.
    KILL_LOG: File that receives a line for each place: seconds of a clock, and the place.
    KILL_PLACES: File of the places to kill at, a line each. The first that is met counts.
    KILL_WAY: `before` the event; `after` it, at the next event of any kind; `later` only writes KILL_MARK.
    KILL_MARK: File that receives the place when it is met.
    KILL_TARGET: `group`, all processes at once, or `main`, only the one that was started first.
"""

import os
import re
import signal
import sys
import time
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _target(event: str, arguments: tuple[Any, ...]) -> Any:
    """Return the path that an event changes, or None."""
    match event:
        case "open":
            return arguments[0] if (arguments[2] or 0) & _WRITING else None
        case "os.rename":
            return arguments[1]
        case "os.mkdir" | "os.remove" | "os.rmdir" | "os.truncate" | "shutil.rmtree":
            return arguments[0]
    return None


def _place(event: str, arguments: tuple[Any, ...], root: str) -> str | None:
    target = _target(event, arguments)
    if not isinstance(target, (str, bytes, os.PathLike)):
        return None
    path = os.fsdecode(target)
    if not path.startswith(root + os.sep):
        return None
    return f"{event} {re.sub('[0-9a-f]{8,}|[0-9]+', '#', os.path.relpath(path, root))}"


class _Killer:
    """Audit hook."""

    def __init__(self) -> None:
        self._way = os.environ.get("KILL_WAY")
        self._chosen: set[str] = set()
        if self._way:
            with open(os.environ["KILL_PLACES"]) as file:  # noqa: PTH123 (the program may not have imported pathlib yet)
                self._chosen.update(file.read().splitlines())
        self._met = self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if self._met and self._way == "after":
            self._kill()
        place = _place(event, arguments, os.environ["KILL_ROOT"])
        if place is None:
            return
        self._write(os.environ["KILL_LOG"], f"{time.monotonic():.3f} {place}\n")
        if place in self._chosen and not self._met:
            self._met = True
            self._write(os.environ["KILL_MARK"], place)
            if self._way == "before":
                self._kill()

    def _write(self, path: str, text: str) -> None:
        # The hook is called for its own events too.
        self._busy = True
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, text.encode())
        os.close(descriptor)
        self._busy = False

    def _kill(self) -> None:
        self._busy = True
        if os.environ["KILL_TARGET"] == "main":
            os.kill(int(os.environ["KILL_MAIN"]), signal.SIGKILL)
        else:
            os.killpg(0, signal.SIGKILL)


if "KILL_ROOT" in os.environ:
    # All other processes inherit it from the one that is started first.
    os.environ.setdefault("KILL_MAIN", str(os.getpid()))
    sys.addaudithook(_Killer())
