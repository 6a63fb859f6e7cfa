"""The real commands, run on small datasets."""

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

from typer.testing import CliRunner

from pipeline.cli.app import app
from tasks.synthetic.composition import LABELS, draw_photo
from tests.support import processes
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, read_line, run, write_line
from tests.support.repository import REPOSITORY

LUIGI = Path(sys.executable).parent / "luigi"
#: Options of a run of seconds: small pictures, one view of the last layer, two folds and no export.
QUICK = {
    "image_size": "64",
    "views": "1",
    "layers": "last",
    "folds": "2",
    "shrinkage": "0.3",
    "export": "none",
}
#: More options of a run whose results do not matter.
LITTLE = {"folds": "0"}

Finished = processes.Finished


def luigi(
    task: str,
    options: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
) -> Finished:
    """Run `luigi --module pipeline TASK` with options of `words`, by default in the repository's root."""
    return run(words(task, options), {**os.environ, **(environment or {})}, folder)


def forked(task: str, options: Mapping[str, str]) -> Finished:
    """Run the same in a fork of a process that has imported TensorFlow, which saves seconds."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        for file in (output, errors):
            file.touch()
        request = (words(task, options), str(output), str(errors), dict(os.environ))
        try:
            code = _ask(_nursery(), json.dumps(request))
        except BaseException:
            # The next command must not get the answer to this one.
            _end(_nursery())
            _nursery.cache_clear()
            raise
        return Finished(code, output.read_text(), errors.read_text())


def words(task: str, options: Mapping[str, str]) -> list[str]:
    """The command line of a task; an underscore in a name stands for a hyphen, and a switch has an empty value."""
    given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value) if word]
    return [str(LUIGI), "--module", "pipeline", task, *given]


@cache
def _nursery() -> subprocess.Popen[str]:
    """The process that commands are forked from; it ends with this one."""
    command = [sys.executable, "-m", "tests.pipeline.nursery"]
    nursery = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, nursery)
    return nursery


def _ask(nursery: subprocess.Popen[str], request: str) -> int:
    write_line(nursery, request)
    return int(read_line(nursery, 2 * TIMEOUT))


def _end(nursery: subprocess.Popen[str]) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        nursery.communicate(timeout=STOP_TIMEOUT)
    nursery.kill()
    nursery.wait()


def verb(*words: object) -> Finished:
    """Call a verb of `python -m pipeline` in this process, without a terminal."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Finished(done.exit_code, done.stdout, done.stderr)


def verb_process(*words: object, environment: Mapping[str, str] | None = None, folder: Path = REPOSITORY) -> Finished:
    return run([sys.executable, "-m", "pipeline", *words], environment, folder)


def option_words(options: Mapping[str, str]) -> list[str]:
    """The same for a verb, which has no switches here."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def assert_error(done: Finished, code: int, *sentences: str) -> None:
    """Check that a command ended with an exit code and with these parts of sentences, and without a traceback."""
    assert done.code == code, done.errors
    assert "Traceback" not in done.output + done.errors
    # Typer breaks the lines of errors of usage.
    errors = done.errors + " ".join(done.errors.split())
    assert [sentence for sentence in sentences if sentence not in errors] == [], done.errors


def listing(folder: Path) -> set[Path]:
    """Files and folders below a folder, relative to it."""
    return {path.relative_to(folder) for path in folder.rglob("*")}


def published(root: Path) -> dict[Path, bytes]:
    """The content of every file below a folder."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Project:
    """A folder of photos and a data root of its own."""

    photos: Path
    root: Path

    @staticmethod
    def drawn(folder: Path, photos: int, labels: int = 3) -> "Project":
        """Draw so many photos into a folder, beside a data root that does not exist yet."""
        project = Project(folder / "photos", folder / "data")
        draw(project.photos, range(photos), labels)
        return project

    def retrain(self, environment: Mapping[str, str] | None = None, /, **options: str) -> Finished:
        """Run RetrainFlowers with the options of a quick run."""
        return luigi("RetrainFlowers", self.options(**options), environment)

    def retrain_forked(self, **options: str) -> Finished:
        """Run the same in a `forked` process."""
        return forked("RetrainFlowers", self.options(**options))

    def options(self, **options: str) -> dict[str, str]:
        """All options of a quick run; those given replace others."""
        return {"dataset": str(self.photos), "data_root": str(self.root), **QUICK, **options}

    def record(self, date: str) -> dict[str, Any]:
        """The record of the only run of a date."""
        (path,) = self.root.glob(f"runs/*/{date}-*.json")
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def new(self, date: str) -> dict[str, int]:
        """Number of photos that each stage worked on, by stage."""
        return {name: stage["new"] for name, stage in self.record(date)["stages"].items()}


def draw(folder: Path, photos: range, labels: int = 3) -> None:
    """Draw photos into `<label>/` folders, the same number for each label."""
    for index in photos:
        label = index % labels
        target = folder / LABELS[label] / f"{index:03d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_drawn(index // labels * len(LABELS) + label))


@cache
def _drawn(number: int) -> bytes:
    return draw_photo(number)
