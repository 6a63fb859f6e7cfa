"""Kills runs of the real `luigi` command on one data root, one after the other, and compares the final data root.

Each run continues from what the one before left, until one ends. The data root must then equal that of an undisturbed
run.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from tasks.synthetic.composition import LABELS
from tests.pipeline.command import draw, words
from tests.reliability.contents import contents, damaged, differences, files, keys
from tests.reliability.kill_points import KillPoint
from tests.snapshot.aging import wait_until_files_are_old
from tests.support.processes import STOP_TIMEOUT, TIMEOUT, Finished, kill, running, session, until
from tests.support.repository import REPOSITORY

INJECT = Path(__file__).parent / "inject"


class Kill(NamedTuple):
    """A kill of a run: the place that it had come to, and the point that was chosen."""

    place: str
    point: KillPoint

    @property
    def stage(self) -> str:
        """The folder of the data root that the place is in."""
        return self.place.split(" ")[1].split("/")[0].removeprefix(".tmp-").removesuffix("-#")

    def __str__(self) -> str:
        return f"{self.point.way:<6} {self.point.target:<5} {self.place}"


@dataclass(frozen=True)
class Ended(Finished):
    """An ended run."""

    place: str  #: The place of the kill point that it came to; empty without one.
    orphaned: float  #: Seconds that its workers outlived it.


@dataclass(frozen=True)
class Trial:
    """A data root, and the runs on it."""

    folder: Path  #: Folder for the data root, temporary files and logs.
    photos: Path  #: The dataset.
    options: Mapping[str, str]  #: Options of RetrainFlowers.

    @property
    def root(self) -> Path:
        return self.folder / "data"

    @property
    def temporary(self) -> Path:
        """Folder for the temporary files of the runs."""
        return self.folder / "tmp"

    @property
    def address(self) -> str:
        """The data root as the runs get it."""
        return str(self.root)

    @property
    def given(self) -> dict[str, str]:
        return {"dataset": str(self.photos), "data_root": self.address, **self.options}

    def fetch(self) -> Path:
        """Return a local folder with the contents of the data root."""
        return self.root

    def run(self, point: KillPoint | None = None) -> Ended:
        """Run RetrainFlowers, and kill it at the point."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        (self.folder / "met").unlink(missing_ok=True)
        with self._start(point) as process:
            code, ended = process.wait(2 * TIMEOUT), time.monotonic()
            while session(process.pid) and time.monotonic() - ended < 1.5 * STOP_TIMEOUT:
                time.sleep(0.05)
            kill(process)
            orphaned = time.monotonic() - ended
        output, errors, place = map(self._read, ("output", "errors", "met"))
        return Ended(code, output, errors, place, orphaned)

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def places(self) -> dict[str, float]:
        """Return the places that the runs met so far, and the seconds until each was first met, in that order."""
        lines = [line.split(" ", 1) for line in (self.folder / "places").read_text().splitlines()]
        start, found = float(lines[0][0]), dict[str, float]()
        for moment, place in sorted(lines, key=lambda line: float(line[0])):
            found.setdefault(place, float(moment) - start)
        return found

    @contextmanager
    def _start(self, point: KillPoint | None) -> Iterator[Popen[str]]:
        """Start a run, whose processes load `tests/reliability/inject`."""
        environment = {
            "PYTHONPATH": os.pathsep.join((str(INJECT), str(REPOSITORY))),
            "KILL_ROOT": str(self.root),
            "KILL_LOG": str(self.folder / "places"),
        }
        if point is not None:
            chosen = self.folder / "chosen"
            chosen.write_text("\n".join(point.places))
            environment |= {
                "KILL_PLACES": str(chosen),
                "KILL_WAY": point.way,
                "KILL_TARGET": point.target,
                "KILL_MARK": str(self.folder / "met"),
            }
        with self._begin(environment) as process:
            if point is not None and point.way == "later":
                until(lambda: (self.folder / "met").exists() or process.poll() is not None, 2 * TIMEOUT)
                time.sleep(point.delay)
                if process.poll() is None:
                    (os.killpg if point.target == "group" else os.kill)(process.pid, signal.SIGKILL)
            yield process

    @contextmanager
    def _begin(self, environment: Mapping[str, str]) -> Iterator[Popen[str]]:
        """Start a run whose output goes to files, which a worker that outlives it cannot block."""
        whole = {**os.environ, "TMPDIR": str(self.temporary), **environment}
        command = words("RetrainFlowers", self.given)
        with (
            (self.folder / "output").open("w") as output,
            (self.folder / "errors").open("w") as errors,
            running(command, whole, stdin=None, stdout=output, stderr=errors) as process,
        ):
            yield process


@dataclass
class History:
    """The runs on a data root."""

    kills: list[Kill] = field(default_factory=list)  #: Kills in their order.
    #: Kill points that no run came to, since one had ended before.
    missed: list[KillPoint] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  #: Everything that is not as it should be, a sentence each.


def survive(
    trial: Trial, points: Sequence[KillPoint], expected: Mapping[str, object], tell: Callable[[str], None]
) -> History:
    """Kill one run after the other, let a last one end, and compare.

    Args:
        trial: A data root that does not exist yet.
        points: Kill points in the order in which a run meets them.
        expected: Contents of an undisturbed data root.
        tell: Called with a line about each kill.
    """
    history = History()
    for number, point in enumerate(points):
        kept, started = keys(trial.fetch()), time.monotonic()
        ended = trial.run(point)
        killed, attempt = ended.code == -signal.SIGKILL, Kill(ended.place, point)
        tell(f"{time.monotonic() - started:6.1f} s {attempt}{'' if killed else ': over before'}")
        if not killed:
            history.missed.extend(points[number:])
            if ended.code:
                history.faults.append(f"{attempt}: the run ended with {ended.code}: {ended.errors}")
            break
        history.kills.append(attempt)
        root = trial.fetch()
        faults = [*damaged(root), *(f"lost {key}" for key in sorted(kept - keys(root)))]
        if ended.orphaned > STOP_TIMEOUT:
            faults.append(f"workers went on for {ended.orphaned:.0f} s")
        history.faults.extend(f"{attempt}: {fault}" for fault in faults)
    history.faults.extend(_finish(trial, expected))
    return history


def _finish(trial: Trial, expected: Mapping[str, object]) -> list[str]:
    """Let a run end, and name every difference from the undisturbed data root."""
    ended = trial.run()
    if ended.code:
        return [f"the last run ended with {ended.code}: {ended.errors}"]
    root = trial.fetch()
    left = [path for path in files(root) if ".tmp-" in str(path)] + list(files(trial.temporary))
    return [
        *([f"the last run says {ended.errors}"] if ended.errors else []),
        *(f"the last run left {path}" for path in left),
        *(f"{name} differs" for name in differences(contents(root), expected)),
        *damaged(root),
    ]


def draw_old(folder: Path, photos: range, labels: int = 3) -> None:
    """Draw photos and a broken one, and wait until they are old: newer files are hashed again by each run."""
    draw(folder, photos, labels)
    (folder / LABELS[0] / "broken.jpg").write_bytes(b"no photo")
    wait_until_files_are_old()
