"""Runs the real `luigi` command on small datasets."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tasks.download.drawing.composition import draw_photo
from tasks.download.sample import LABELS

REPOSITORY = Path(__file__).parent.parent.parent
LUIGI = Path(sys.executable).parent / "luigi"
#: Small pictures, one view, two folds and no export: seconds instead of minutes. In batches of 128, a few photos would
#: go through some 500 epochs, with a checkpoint after every fifth.
QUICK = {"image-size": "64", "views": "1", "folds": "2", "l2": "0.03", "batch-size": "8", "export": "none"}


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    output: str
    errors: str


def luigi(task: str, options: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Finished:
    """Run `luigi --module pipeline TASK` from the repository's root, as the README has it.

    An option without a value is one that is on or off.
    """
    words = [word for name, value in options.items() for word in (f"--{name}", value) if word]
    done = subprocess.run(
        [LUIGI, "--module", "pipeline", task, *words],
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Project:
    """A folder of photos and a data root of its own."""

    photos: Path
    root: Path

    def retrain(self, environment: Mapping[str, str] | None = None, /, **options: str) -> Finished:
        """Run RetrainFlowers, quickly; an underscore in an option stands for a hyphen."""
        given = {name.replace("_", "-"): value for name, value in options.items()}
        fixed = {"dataset": str(self.photos), "data-root": str(self.root)}
        return luigi("RetrainFlowers", {**fixed, **QUICK, **given}, environment)

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
