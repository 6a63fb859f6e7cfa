"""Helpers of the tests of fetching: a file, quick retries, and errors."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks.download.fetch import Expected, FetchedFile, fetch
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import DownloadError
from tasks.progress import NullProgress
from tests.support.processes import TIMEOUT
from tests.support.servers.file_server import Fault, FileServer

CONTENT = bytes(range(256)) * 800
#: Hardly pauses, and waits long enough on a busy machine.
QUICK = RetryPolicy(max_attempts=3, first_delay=0.01, max_delay=0.02, timeout=60.0, min_rate=100.0)
#: For a server that is waited for in vain, and for one that always answers, on a machine however busy.
SHORT = RetryPolicy(max_attempts=2, first_delay=0.01, max_delay=0.02, timeout=0.3, max_seconds=TIMEOUT)
LONG = replace(SHORT, timeout=60.0, min_rate=SHORT.min_bytes / 60)
#: Errors of a server that is waited for in vain; which of the waits ends first is a matter of moments.
SLOW = r"timed out|did not answer within 0\.3 s|sent \d+ bytes in \d+ s"
#: Seconds for which a server goes on that never ends, so that who waits for its end fails a test and holds up no other.
FOREVER = 100.0
ANYTHING = Expected()


class Disk(NamedTuple):
    """A disk of 100 MB, as shutil describes it."""

    free: int
    total: int = 100_000_000


def forget_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all variables of proxies and certificates from the environment."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
            monkeypatch.delenv(name)


def dripping(start: bytes) -> Fault:
    """An answer that goes on for ever, a byte now and then."""

    def drip(released: threading.Event) -> Iterator[bytes]:
        yield start
        end = time.monotonic() + FOREVER
        while time.monotonic() < end and not released.wait(0.05):
            yield b"x"

    return Fault(raw=drip)


def exactly(files: FileServer) -> Expected:
    return Expected(len(files.content), files.sha256)


def get(files: FileServer, path: Path, expected: Expected = ANYTHING, policy: RetryPolicy = QUICK) -> FetchedFile:
    return fetch(files.url, path, expected, NullProgress(), policy)


def put(path: Path, data: bytes) -> str:
    """Put a file where a download would be, as a person does, and return its hash."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def beside(path: Path, suffix: str) -> Path:
    """The file `<name><suffix>` beside a file."""
    return path.with_name(path.name + suffix)


def left(path: Path) -> dict[str, bytes]:
    """Names and bytes of all files beside a file, itself included."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def broken_off(files: FileServer, path: Path, after: int = 70_000) -> None:
    """Leave a part of the file behind."""
    files.faults = [Fault(cut_after=after)]
    with pytest.raises(DownloadError):
        get(files, path, policy=replace(QUICK, max_attempts=0))
    assert beside(path, ".part").stat().st_size == after
    assert not path.exists()
    files.requests.clear()


def refused(files: FileServer, path: Path, policy: RetryPolicy = QUICK) -> str:
    """The error of a fetch, which leaves nothing."""
    with pytest.raises(DownloadError) as caught:
        get(files, path, policy=policy)
    assert left(path) == {}
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
