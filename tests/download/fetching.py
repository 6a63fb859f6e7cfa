"""What the tests of fetching share: a file, little patience, and progress that remembers."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks.download.fetch import Expected, FetchedFile, fetch
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import DownloadError
from tasks.progress import NullProgress
from tests.download.server import FileServer, Mood

CONTENT = bytes(range(256)) * 800
#: Without pauses; what it waits for always comes, however busy the machine is.
QUICK = RetryPolicy(max_attempts=3, first_delay=0.01, max_delay=0.02, timeout=60.0, min_rate=100.0)


ANYTHING = Expected()


class Disk(NamedTuple):
    """A disk of 100 MB, as shutil describes it."""

    free: int
    total: int = 100_000_000


def exactly(files: FileServer) -> Expected:
    return Expected(len(files.content), files.sha256)


def get(files: FileServer, path: Path, expected: Expected = ANYTHING, patience: RetryPolicy = QUICK) -> FetchedFile:
    return fetch(files.url, path, expected, NullProgress(), patience)


def broken_off(files: FileServer, path: Path, after: int = 70_000) -> None:
    """Leave a part of the file behind."""
    files.moods = [Mood(cut_after=after)]
    with pytest.raises(DownloadError):
        get(files, path, patience=replace(QUICK, max_attempts=0))
    assert path.with_name("photos.tgz.part").stat().st_size == after
    assert not path.exists()
    files.requests.clear()


def refused(files: FileServer, path: Path, patience: RetryPolicy = QUICK) -> str:
    """What is told of a fetch that fails."""
    with pytest.raises(DownloadError) as caught:
        get(files, path, patience=patience)
    assert list(path.parent.iterdir()) == []
    return str(caught.value)


def connections_made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that are made from now on."""
    made: list[object] = []
    connect = socket.create_connection

    def counting(*args: Any, **more: Any) -> socket.socket:
        made.append(args)
        return connect(*args, **more)

    monkeypatch.setattr(socket, "create_connection", counting)
    return made
