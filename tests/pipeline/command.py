"""Runs the real `luigi` command on small datasets."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.synthetic.composition import LABELS, draw_photo
from tests.support import processes
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, read_line, run, write_line
from tests.support.repository import REPOSITORY

LUIGI = Path(sys.executable).parent / "luigi"
#: Small pictures, one view of the last layer, two folds and no export: seconds instead of minutes.
QUICK = {
    "image-size": "64",
    "views": "1",
    "layers": "last",
    "folds": "2",
    "shrinkage": "0.3",
    "export": "none",
}
#: For nights in which it is no matter what was learned.
LITTLE = {"folds": "0"}

Finished = processes.Finished


def luigi(
    task: str,
    options: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
) -> Finished:
    """Run `luigi --module pipeline TASK`, by default from the repository's root, as the README has it.

    An option without a value is one that is on or off.
    """
    return run(words(task, options), {**os.environ, **(environment or {})}, folder)


def forked(task: str, options: Mapping[str, str]) -> Finished:
    """Run the same in a process of its own that has TensorFlow imported before it starts, which saves seconds.

    For what a command comes to. What a start is like, with an environment of its own too, `luigi` shows.
    """
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        for file in (output, errors):
            file.touch()
        request = (words(task, options), str(output), str(errors), dict(os.environ))
        try:
            code = _ask(_nursery(), json.dumps(request))
        except BaseException:
            # What it does now is nobody's: the next command is not to get the answer to this one.
            _end(_nursery())
            _nursery.cache_clear()
            raise
        return Finished(code, output.read_text(), errors.read_text())


def words(task: str, options: Mapping[str, str]) -> list[str]:
    """The words of a command."""
    given = [word for name, value in options.items() for word in (f"--{name}", value) if word]
    return [str(LUIGI), "--module", "pipeline", task, *given]


@cache
def _nursery() -> subprocess.Popen[str]:
    """The process that all of them are forked from; it ends when this one does, however that ends."""
    command = [sys.executable, "-m", "tests.pipeline.nursery"]
    nursery = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, nursery)
    return nursery


def _ask(nursery: subprocess.Popen[str], request: str) -> int:
    """Have it become a command; returns the exit code."""
    write_line(nursery, request)
    return int(read_line(nursery, 2 * TIMEOUT))


def _end(nursery: subprocess.Popen[str]) -> None:
    """End it, and the command that it is at."""
    with suppress(OSError, subprocess.TimeoutExpired):
        nursery.communicate(timeout=STOP_TIMEOUT)
    nursery.kill()
    nursery.wait()


@dataclass(frozen=True)
class Project:
    """A folder of photos and a data root of its own."""

    photos: Path
    root: Path

    def retrain(self, environment: Mapping[str, str] | None = None, /, **options: str) -> Finished:
        """Run RetrainFlowers, quickly; an underscore in an option stands for a hyphen."""
        return luigi("RetrainFlowers", self.options(options), environment)

    def retrain_forked(self, **options: str) -> Finished:
        """Run the same in a `forked` process."""
        return forked("RetrainFlowers", self.options(options))

    def options(self, options: Mapping[str, str]) -> dict[str, str]:
        """All options of a quick run; those given take the place of others."""
        given = {name.replace("_", "-"): value for name, value in options.items()}
        return {"dataset": str(self.photos), "data-root": str(self.root), **QUICK, **given}

    def record(self, date: str) -> dict[str, Any]:
        """The record of the only run of a date."""
        (path,) = self.root.glob(f"runs/*/{date}-*.json")
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def new(self, date: str) -> dict[str, int]:
        """How many photos each stage had to work on."""
        return {name: stage["new"] for name, stage in self.record(date)["stages"].items()}


def draw(folder: Path, photos: range, labels: int = 3) -> None:
    """Draw photos into `<label>/` folders, so that each label gets as many."""
    for index in photos:
        label = index % labels
        target = folder / LABELS[label] / f"{index:03d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_drawn(index // labels * len(LABELS) + label))


@cache
def _drawn(number: int) -> bytes:
    return draw_photo(0, number)
