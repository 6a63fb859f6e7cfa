"""Kills the process that it is loaded into at a chosen place; Python loads it where its folder is on PYTHONPATH.

A place is an audit event on a path below the data root: that a file is opened for writing, renamed, removed, that a
folder is made. Keys and numbers in the path are written as `#`, so that a place is the same in every run.

Environment:
    KILL_ROOT: The data root. Without it this module does nothing.
    KILL_LOG: A file that each place is written to as it is met, a line each, after the seconds of a clock.
    KILL_PLACES: A file of the places to kill at, a line each. The first that is met counts.
    KILL_HOW: `before` what happens there, `after` it, at the next event of any kind; `tell` only leaves KILL_MARK.
    KILL_MARK: A file that the place is written to when it is met.
    KILL_WHOM: `group`, all processes at once, or `main`, only the one that was started first.
"""

import os
import re
import signal
import sys
import time
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _target(event: str, arguments: tuple[Any, ...]) -> Any:
    """The path that an event is about; None where it changes nothing."""
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
    """The hook.

    Args:
        root: The data root.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._log, self._how = os.environ["KILL_LOG"], os.environ.get("KILL_HOW")
        self._chosen: set[str] = set()
        if self._how:
            with open(os.environ["KILL_PLACES"]) as file:  # noqa: PTH123 (the program may not have imported pathlib yet)
                self._chosen.update(file.read().splitlines())
        self._met = self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if self._met and self._how == "after":
            self._kill()
        place = _place(event, arguments, self._root)
        if place is None:
            return
        self._write(self._log, f"{time.monotonic():.3f} {place}\n")
        if place in self._chosen and not self._met:
            self._met = True
            self._write(os.environ["KILL_MARK"], place)
            if self._how == "before":
                self._kill()

    def _write(self, path: str, text: str) -> None:
        self._busy = True
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, text.encode())
        os.close(descriptor)
        self._busy = False

    def _kill(self) -> None:
        self._busy = True
        if os.environ["KILL_WHOM"] == "main":
            os.kill(int(os.environ["KILL_MAIN"]), signal.SIGKILL)
        else:
            os.killpg(0, signal.SIGKILL)


if "KILL_ROOT" in os.environ:
    # The first of them is the one that was started; all others inherit this.
    os.environ.setdefault("KILL_MAIN", str(os.getpid()))
    sys.addaudithook(_Killer(os.environ["KILL_ROOT"]))
