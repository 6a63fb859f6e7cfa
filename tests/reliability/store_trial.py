"""Kills runs whose data root is on an object store at chosen requests, by the gateway before the store.

A place is a request that changes an object, by its kind and key; hashes and numbers are written as `#`, so that a place
is the same in every run. Killed before it, the request never arrives; after it, it was answered.
"""

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from upath import UPath

from tests.reliability.kill_points import KillPoint
from tests.reliability.trial import Trial
from tests.support.servers.gateway import Gateway, Outcome, Request

#: Share of requests that are refused, as a busy store does.
REFUSED = 0.05
_CHANGES = {"PUT", "POST", "DELETE"}


@dataclass(frozen=True)
class StoreTrial(Trial):
    """A data root on an object store, and the runs on it."""

    url: str  #: Its address.
    gateway: Gateway  #: The gateway before the store.

    @property
    def address(self) -> str:
        """The data root as the runs get it."""
        return self.url

    def fetch(self) -> Path:
        """Copy the data root without leases and marks of whole folders."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        store = UPath(self.url, use_listings_cache=False, skip_instance_cache=True).fs
        prefix = self.url.removeprefix("s3://")
        names = [name for name in store.find(prefix) if "/." not in name.removeprefix(prefix)]
        store.get(names, [str(self.root) + name.removeprefix(prefix) for name in names])
        for path in self.root.rglob("*.json"):
            # As a local data root has its path in them.
            path.write_text(path.read_text().replace(self.url, str(self.root)))
        return self.root

    @contextmanager
    def _start(self, point: KillPoint | None) -> Iterator[Popen[str]]:
        killer = _Killer(self, point)
        self.gateway.decide(killer)
        with self._begin({"AWS_ENDPOINT_URL": self.gateway.address}) as process:
            killer.process = process
            yield process


class _Killer:
    """Decides on each request of a run, and kills the run at the point."""

    def __init__(self, trial: StoreTrial, point: KillPoint | None) -> None:
        self._trial, self._point = trial, point
        self._met = False
        self._dice = random.Random(len(point.places[0]) if point else 0)  # noqa: S311 (the same ones each time)
        self.process: Popen[str] | None = None

    def __call__(self, request: Request) -> Outcome:
        if self._met:
            self._kill()
        if self._dice.random() < REFUSED:
            return Outcome.REFUSED
        place = place_of(request, self._trial.url)
        if place is None:
            return Outcome.PASSED
        with (self._trial.folder / "places").open("a") as log:
            log.write(f"{time.monotonic():.3f} {place}\n")
        if self._point is None or place not in self._point.places:
            return Outcome.PASSED
        (self._trial.folder / "met").write_text(place)
        self._met = True
        if self._point.way == "after":
            return Outcome.PASSED
        self._kill()
        return Outcome.HUNG_UP

    def _kill(self) -> None:
        # The thread that waits for it may find its end at the same time.
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def place_of(request: Request, url: str) -> str | None:
    """Return the place of a request that changes an object of a data root; leases have none."""
    prefix = url.removeprefix("s3://").partition("/")[2]
    if request.kind not in _CHANGES or not (request.key or prefix).startswith(prefix) or "/." in request.key:
        return None
    return f"{request.kind} {re.sub('[0-9a-f]{8,}|[0-9]+', '#', request.key.removeprefix(prefix + '/'))}"
