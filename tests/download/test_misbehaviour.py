"""Servers that misbehave: nothing bad is published, a good file stays, and the user is told within a bounded time."""

import gzip
import itertools
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.download import limits
from tasks.download.archives import verify
from tasks.download.fetch import Expected
from tasks.errors import DownloadError, MachineError, PipelineError
from tests.download.fetching import (
    CONTENT,
    FOREVER,
    LONG,
    QUICK,
    SHORT,
    SLOW,
    Disk,
    beside,
    broken_off,
    dripping,
    exactly,
    get,
    left,
    refused,
)
from tests.support.servers.file_server import Fault, FileServer

ZEROS = gzip.compress(bytes(50_000_000), 1)
BOMB = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(ZEROS) + ZEROS


def line(*pieces: bytes) -> Fault:
    """An answer of these bytes."""
    return Fault(raw=lambda _: pieces)


def endless(start: bytes, piece: bytes) -> Fault:
    """An answer that goes on for ever, as fast as it is read."""
    return Fault(raw=lambda _: itertools.chain([start], itertools.repeat(piece)))


def redirect(location: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": location})


OK, FOUND = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\nLocation: /\r\n"
CHUNK = b"10000\r\n" + bytes(65_536) + b"\r\n"

#: The behaviour of the server at every request, and the error that the user reads.
MISBEHAVIOUR: dict[str, tuple[Fault, str]] = {
    "nothing at all": (line(), "disconnected"),
    "a word": (line(b"hello\r\n\r\n"), "tried 2 times"),
    "bytes": (line(bytes(range(256)) * 40), "tried 2 times"),
    "another protocol": (line(b"SSH-2.0-OpenSSH_9.6\r\n"), "tried 2 times"),
    "headers without end": (endless(OK, b"X-Y: " + b"z" * 1000 + b"\r\n"), "tried 2 times"),
    "a header without end": (endless(OK + b"X-Y: ", b"z" * 4096), "tried 2 times"),
    "headers that drip": (dripping(OK + b"X-Y: "), SLOW),
    "to be continued for ever": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), SLOW),
    "silence": (Fault(raw=lambda released: iter([b""] if released.wait(5) else [])), SLOW),
    "silence after the headers": (Fault(stall=True), SLOW),
    "a body that drips": (dripping(OK + b"Content-Length: 204800\r\n\r\n"), SLOW),
    "a body without a length that drips": (dripping(OK + b"\r\n"), SLOW),
    "always cut at one place": (Fault(cut_after=20_000, ignore_range=True), "tried 3 times"),
    "cut at once": (Fault(cut_after=0), "tried 2 times"),
    "a chunked body that is cut": (line(OK + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, b"10000\r\nxx"), "tried 3"),
    "a chunk that is no number": (line(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "tried 2 times"),
    "two lengths": (line(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"), "tried 2 times"),
    "a negative length": (line(OK + b"Content-Length: -5\r\n\r\nabcdef"), "tried 2 times"),
    "a length of 5,000 digits": (line(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabc"), "tried 2|more than"),
    "a length beyond every disk": (line(OK + b"Content-Length: 999999999999999\r\n\r\nabc"), "500,000.0 MB, the most"),
    "an empty file": (line(OK + b"Content-Length: 0\r\n\r\n"), "an empty file"),
    "an empty body": (line(OK + b"\r\n"), "an empty file"),
    "a web page": (Fault(pretend={"Content-Type": "text/html; charset=utf-8"}), "a web page in place of the file"),
    "no content": (Fault(status=204), "204"),
    "a part that nobody asked for": (Fault(status=206), "206"),
    "an odd status": (Fault(status=418), "418"),
    "too many requests": (Fault(status=429), "429 Too Many Requests"),
    "wait for a year": (Fault(status=429, headers={"Retry-After": "31536000"}), "tried once, last: .*429"),
    "a circle": (redirect("/photos.tgz"), "redirects more than 20 times"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "redirects to file, which is no website"),
    "a redirect to ftp": (redirect("ftp://example.org/x", 301), "redirects to ftp"),
    "a redirect to a script": (redirect("javascript:alert(1)", 307), "redirects to javascript|tried"),
    "a redirect to data": (redirect("data:text/plain,photos", 308), "redirects to data|tried"),
    "a redirect to nowhere": (redirect("http://[::"), "tried"),
    "a redirect with a body without end": (endless(FOUND + b"\r\n", CHUNK), "redirects more than 20 times"),
    "a redirect with a bomb": (line(FOUND + BOMB), "redirects more than 20 times"),
    "a bomb as the body": (line(OK + BOMB), r"was not extracted|is damaged"),
    "garbage": (line(OK + b"Content-Length: 9\r\n\r\nno photos"), "is no tar"),
    "garbage of the right length": (line(OK + b"Content-Length: 9999\r\n\r\n", bytes(9998) + b"x"), "is damaged"),
    "an archive's beginning": (line(OK + b"\r\n" + gzip.compress(CONTENT)[:3000]), "is damaged"),
}


@pytest.mark.parametrize(("fault", "error"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_misbehaviour_publishes_nothing_and_is_named(server: FileServer, path: Path, fault: Fault, error: str) -> None:
    get(server, path)
    before = left(path)
    server.etag, server.faults = '"two"', [fault] * 100
    begun = time.monotonic()
    with pytest.raises(DownloadError, match=error) as caught:
        get(server, path, Expected(verify=verify), SHORT if error == SLOW else LONG)
    assert time.monotonic() - begun < FOREVER / 2
    text = str(caught.value)
    assert len(text) < 900
    assert re.search(r"Check the URL|Open it in a browser|extract it yourself", text)
    assert {name: data for name, data in left(path).items() if ".part" not in name} == before


#: Headers of the rest after 70,000 bytes that do not fit those bytes.
MISFITS: list[dict[str, str | None]] = [
    {"Content-Range": "bytes 70001-204799/204800"},
    {"Content-Range": "bytes 70000-204799/204801"},
    {"Content-Range": None},
    {"ETag": '"two"'},
    {"ETag": 'W/"one"'},
    {"ETag": None},
]
RANGES: dict[str, Fault] = {
    **{str(headers)[:60]: Fault(pretend=headers) for headers in MISFITS},
    "more than the range": Fault(pretend={"Content-Length": None}, more=b"more"),
    "nothing follows, but it is shorter": Fault(status=416, headers={"Content-Range": "bytes */100"}),
    "nothing follows, but it was longer": Fault(status=416, headers={"Content-Range": "bytes */70000"}),
}


@pytest.mark.parametrize("fault", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize("known", [False, True], ids=["hash unknown", "hash known"])
def test_a_rest_that_does_not_fit_is_never_appended(server: FileServer, path: Path, fault: Fault, known: bool) -> None:
    """The other version's bytes differ everywhere, so that one of them in the file would be seen."""
    broken_off(server, path)
    server.faults = [replace(fault, ignore_if_range=True)]
    get(server, path, exactly(server) if known else Expected())
    assert path.read_bytes() == CONTENT
    assert "Range" in server.requests[0]
    assert "Range" not in server.requests[1]


def test_a_body_longer_than_its_declared_length_is_cut(server: FileServer, path: Path) -> None:
    server.faults = [Fault(more=b"and more")]
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_body_without_a_length_is_no_longer_than_expected(server: FileServer, path: Path) -> None:
    server.faults = [Fault(pretend={"Content-Length": None}, more=b"and more")] * 9
    with pytest.raises(DownloadError, match="sent more than the 204,800 bytes that it should"):
        get(server, path, exactly(server))
    assert left(path) == {}


@pytest.mark.parametrize("start", [OK + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"], ids=["close", "chunks"])
def test_an_endless_body_is_cut(server: FileServer, path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = [endless(start, CHUNK), endless(start, CHUNK)]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(8_000_000))
    with pytest.raises(MachineError, match=r"more than the 3\.0 MB that there is room for on the disk"):
        get(server, path)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "MAX_BYTES", 3_000_000)
    assert "more than 3.0 MB, the most that is fetched. Fetch and extract it" in refused(server, path)


def test_a_file_that_has_no_room_is_not_begun(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(5_100_000))
    with pytest.raises(MachineError, match=r"has more than the 0\.1 MB"):
        get(server, path, exactly(server))
    assert left(path) == {}


def test_a_server_that_hands_out_a_few_bytes_at_a_time_is_given_up(server: FileServer, path: Path) -> None:
    server.faults = [Fault(cut_after=10)] * 1000
    with pytest.raises(DownloadError, match="tried 4 times"):
        get(server, path, policy=replace(QUICK, max_attempts=4))


def test_the_bytes_are_kept_at_the_time_limit(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = [Fault(cut_after=20_000)] * 1000
    # A clock on which each request takes as long, however busy the machine is.
    monkeypatch.setattr("tasks.download.transfer.time", SimpleNamespace(monotonic=lambda: 0.2 * len(server.requests)))
    with pytest.raises(PipelineError, match="could not be fetched"):
        get(server, path, policy=replace(QUICK, max_seconds=0.5))
    held = beside(path, ".part").stat().st_size
    assert 40_000 <= held <= 60_000
    monkeypatch.undo()
    server.faults, server.requests = [], []
    get(server, path)
    assert server.requests[0]["Range"] == f"bytes={held}-"
