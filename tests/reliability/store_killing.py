"""Kills runs whose data root is on an object store, at chosen requests: what stands before the store does it.

A place is a request that changes something there, by its kind and key; keys and numbers are written as `#`, so that a
place is the same in every run. Killed before it, the request never arrives; after it, it has been answered.
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
from typing import TextIO

from upath import UPath

from tests.reliability.killing import Process, Trial
from tests.reliability.shots import Shot
from tests.support.servers.gateway import Fate, Gateway, Request

#: Share of requests that are answered by asking to slow down, as a busy store does.
REFUSED = 0.05
_CHANGES = {"PUT", "POST", "DELETE"}


@dataclass(frozen=True)
class StoreTrial(Trial):
    """A data root on an object store that runs are made on.

    Args:
        url: Its address.
        gateway: What stands before the store.
    """

    url: str
    gateway: Gateway

    @property
    def address(self) -> str:
        """Where runs find the data root."""
        return self.url

    def held(self) -> Path:
        """A copy of it; leases are left out, and so are the marks of whole folders."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        store = UPath(self.url, use_listings_cache=False, skip_instance_cache=True).fs
        prefix = self.url.removeprefix("s3://")
        names = [name for name in store.find(prefix) if "/." not in name.removeprefix(prefix)]
        store.get(names, [str(self.root) + name.removeprefix(prefix) for name in names])
        for path in self.root.rglob("*.json"):
            # The address stands in there as a local data root's path does.
            path.write_text(path.read_text().replace(self.url, str(self.root)))
        return self.root

    @contextmanager
    def _start(self, shot: Shot | None, output: TextIO, errors: TextIO) -> Iterator[Process]:
        marksman = _Marksman(self, shot)
        self.gateway.decide(marksman)
        with self._begin({"AWS_ENDPOINT_URL": self.gateway.address}, output, errors) as process:
            marksman.process = process
            yield process


class _Marksman:
    """Looks at each request of a run, and kills the run at the one that was chosen."""

    def __init__(self, trial: StoreTrial, shot: Shot | None) -> None:
        self._trial, self._shot = trial, shot
        self._met = False
        self._dice = random.Random(len(shot.places[0]) if shot else 0)  # noqa: S311 (the same ones each time)
        self.process: Process | None = None

    def __call__(self, request: Request) -> Fate:
        if self._met:
            self._kill()
        if self._dice.random() < REFUSED:
            return Fate.REFUSED
        place = place_of(request, self._trial.url)
        if place is None:
            return Fate.PASSED
        with (self._trial.folder / "places").open("a") as log:
            log.write(f"{time.monotonic():.3f} {place}\n")
        if self._shot is None or place not in self._shot.places:
            return Fate.PASSED
        (self._trial.folder / "met").write_text(place)
        self._met = True
        if self._shot.way == "after":
            return Fate.PASSED
        self._kill()
        return Fate.HUNG_UP

    def _kill(self) -> None:
        # Where it has ended there is nothing to kill; who waits for it may find that out at the same time.
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def place_of(request: Request, url: str) -> str | None:
    """The place that a request is, where it changes something of a data root; a lease is none of its own."""
    prefix = url.removeprefix("s3://").partition("/")[2]
    if request.kind not in _CHANGES or not (request.key or prefix).startswith(prefix) or "/." in request.key:
        return None
    return f"{request.kind} {re.sub('[0-9a-f]{8,}|[0-9]+', '#', request.key.removeprefix(prefix + '/'))}"
