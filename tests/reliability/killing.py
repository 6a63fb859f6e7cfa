"""Kills the real `luigi` process at chosen places and at any moment, and sees what is lost of it.

A history is a data root on which runs are killed one after the other, each going on from what the one before left,
until one ends. What it holds then is compared with what a run left that nobody disturbed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

from tasks.synthetic.composition import LABELS
from tests.pipeline.command import draw, words
from tests.reliability.contents import contents, damaged, differences, files, keys
from tests.reliability.shots import Shot
from tests.snapshot.aging import wait_until_files_are_old
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, kill, running, session, until
from tests.support.repository import REPOSITORY

Process = subprocess.Popen[str]
Tell = Callable[[str], None]

INJECT = Path(__file__).parent / "inject"
KILLED = -signal.SIGKILL
#: Seconds that a worker may go on without the process that started it, on a busy machine.
ORPHAN_SECONDS = STOP_TIMEOUT


class Kill(NamedTuple):
    """A run that was killed.

    Args:
        place: The event on a path that it had come to.
        shot: How it was killed.
    """

    place: str
    shot: Shot

    @property
    def stage(self) -> str:
        """The folder of the data root that the place is in."""
        return self.place.split(" ")[1].split("/")[0].removeprefix(".tmp-").removesuffix("-#")

    def __str__(self) -> str:
        return f"{self.shot.way:<6} {self.shot.whom:<5} {self.place}"


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Args:
        code: Its exit code, or the signal that killed it, negative.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
        place: The place to kill it at that it came to; empty without.
        orphaned: Seconds that its workers went on after it.
    """

    code: int
    output: str
    errors: str
    place: str
    orphaned: float


@dataclass(frozen=True)
class Trial:
    """A data root that runs are made on.

    Args:
        folder: A folder of its own, for the data root, temporary files and what is noted.
        photos: The dataset.
        options: Options of RetrainFlowers.
    """

    folder: Path
    photos: Path
    options: Mapping[str, str]

    @property
    def root(self) -> Path:
        """The data root."""
        return self.folder / "data"

    @property
    def given(self) -> dict[str, str]:
        """All options of its runs."""
        return {"dataset": str(self.photos), "data-root": self.address, **self.options}

    @property
    def address(self) -> str:
        """Where runs find the data root."""
        return str(self.root)

    def held(self) -> Path:
        """What the data root holds now, in a folder."""
        return self.root

    @property
    def temporary(self) -> Path:
        """Where the runs have what they need for a moment."""
        return self.folder / "tmp"

    def run(self, shot: Shot | None = None) -> Ended:
        """Run RetrainFlowers, and kill it where the place is met."""
        for folder in (self.folder, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        with (
            (self.folder / "output").open("w+") as output,
            (self.folder / "errors").open("w+") as errors,
            self._start(shot, output, errors) as process,
        ):
            code, orphaned = process.wait(2 * TIMEOUT), _end_of_session(process)
        output_text, errors_text, place = (
            path.read_text() if path.exists() else "" for path in map(self.folder.joinpath, ("output", "errors", "met"))
        )
        (self.folder / "met").unlink(missing_ok=True)
        return Ended(code, output_text, errors_text, place, orphaned)

    @contextmanager
    def _start(self, shot: Shot | None, output: TextIO, errors: TextIO) -> Iterator[Process]:
        """Start a run that is killed where the place is met."""
        with self._begin(self._environment(shot), output, errors) as process:
            if shot is not None and shot.way == "later":
                self._kill_later(process, shot)
            yield process

    def _begin(self, environment: Mapping[str, str], output: TextIO, errors: TextIO) -> AbstractContextManager[Process]:
        return running(
            words("RetrainFlowers", self.given),
            {**os.environ, "TMPDIR": str(self.temporary), **environment},
            stdin=None,
            stdout=output,
            stderr=errors,
        )

    def places(self) -> dict[str, float]:
        """The places that the runs came to so far, and after how many seconds each was first met, in that order."""
        lines = [line.split(" ", 1) for line in (self.folder / "places").read_text().splitlines()]
        start = float(lines[0][0])
        # In the end the first time that each was met is what stays.
        return dict(sorted(((place, float(at) - start) for at, place in reversed(lines)), key=lambda met: met[1]))

    def _environment(self, shot: Shot | None) -> dict[str, str]:
        own = {
            "PYTHONPATH": os.pathsep.join((str(INJECT), str(REPOSITORY))),
            "KILL_ROOT": str(self.root),
            "KILL_LOG": str(self.folder / "places"),
        }
        if shot is None:
            return own
        chosen = self.folder / "chosen"
        chosen.write_text("\n".join(shot.places))
        return own | {
            "KILL_PLACES": str(chosen),
            "KILL_HOW": "tell" if shot.way == "later" else shot.way,
            "KILL_WHOM": shot.whom,
            "KILL_MARK": str(self.folder / "met"),
        }

    def _kill_later(self, process: Process, shot: Shot) -> None:
        met = self.folder / "met"
        until(lambda: met.exists() or process.poll() is not None, 2 * TIMEOUT)
        time.sleep(shot.delay)
        if process.poll() is None:
            (os.killpg if shot.whom == "group" else os.kill)(process.pid, signal.SIGKILL)


@dataclass
class History:
    """What became of a data root on which runs were killed.

    Args:
        kills: The runs that were killed.
        missed: The shots that no run came to, since one before had been over too soon.
        faults: Everything that is not as it should be, a sentence each.
    """

    kills: list[Kill] = field(default_factory=list)
    missed: list[Shot] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def survive(
    trial: Trial, shots: Sequence[Shot], expected: Mapping[str, object], tell: Callable[[str], None]
) -> History:
    """Kill one run after the other, let a last one end, and compare.

    Args:
        trial: A data root that is not there yet.
        shots: Where, in the order in which a run meets the places.
        expected: The contents of an undisturbed data root.
        tell: Is told of each kill.
    """
    history = History()
    for number, shot in enumerate(shots):
        kept = keys(trial.held())
        started = time.monotonic()
        ended = trial.run(shot)
        kill = Kill(ended.place, shot)
        tell(f"{time.monotonic() - started:6.1f} s {kill}{'' if ended.code == KILLED else ': over before'}")
        if ended.code != KILLED:
            history.missed.extend(shots[number:])
            if ended.code:
                history.faults.append(f"{kill}: the run ended with {ended.code}: {ended.errors}")
            break
        history.kills.append(kill)
        if ended.orphaned > ORPHAN_SECONDS:
            history.faults.append(f"{kill}: workers went on for {ended.orphaned:.0f} s")
        held = trial.held()
        history.faults.extend(f"{kill}: {damage}" for damage in damaged(held))
        history.faults.extend(f"{kill}: lost {key}" for key in sorted(kept - keys(held)))
    history.faults.extend(_end(trial, expected))
    return history


def _end(trial: Trial, expected: Mapping[str, object]) -> list[str]:
    """Let a run end, and name what is not as in the undisturbed data root."""
    ended = trial.run()
    if ended.code:
        return [f"the last run ended with {ended.code}: {ended.errors}"]
    faults = [f"the last run says {ended.errors}"] if ended.errors else []
    held = trial.held()
    faults += [f"the last run left {path}" for path in files(held) if ".tmp-" in str(path)]
    faults += [f"the last run left {path}" for path in files(trial.temporary)]
    return faults + [f"{name} is another" for name in differences(contents(held), expected)] + damaged(held)


def _end_of_session(process: Process) -> float:
    """Wait until no process of a run is left, and end those that stay; returns how many seconds that took."""
    started = time.monotonic()
    while session(process.pid) and time.monotonic() - started < 1.5 * ORPHAN_SECONDS:
        time.sleep(0.05)
    kill(process)
    return time.monotonic() - started


def draw_old(folder: Path, photos: range, labels: int = 3) -> None:
    """Draw photos, and a broken one, and let them be old: what is newer is hashed again, so that it matters when."""
    draw(folder, photos, labels)
    (folder / LABELS[0] / "broken.jpg").write_bytes(b"no photo")
    wait_until_files_are_old()


def show(text: str) -> None:
    """Write a line for whoever waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
