"""A transfer that breaks off goes on where it was, if the rest still belongs to it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.download.fetch import fetch
from tests.download.fetching import ANYTHING, CONTENT, QUICK, beside, broken_off, exactly, get, left
from tests.support.processes import TIMEOUT, running, until
from tests.support.progress import Tally
from tests.support.servers.file_server import Fault, FileServer


def test_a_transfer_that_broke_off_is_resumed_and_counts_every_byte_once(server: FileServer, path: Path) -> None:
    server.faults = [Fault(cut_after=70_000)]
    progress = Tally()
    assert fetch(server.url, path, ANYTHING, progress, QUICK).sha256 == server.sha256
    first, second = server.requests
    assert "Range" not in first
    assert (second["Range"], second["If-Range"]) == ("bytes=70000-", '"one"')
    assert progress == Tally(len(CONTENT), "B", len(CONTENT), beginnings=1)


def test_attempts_that_bring_something_new_do_not_use_up_the_patience(server: FileServer, path: Path) -> None:
    server.faults = [Fault(cut_after=20_000) for _ in range(9)]
    assert get(server, path, exactly(server)).sha256 == server.sha256
    assert len(server.requests) == 10


@pytest.mark.parametrize("validator", ['"one"', None], ids=["etag", "last-modified"])
def test_another_process_goes_on_where_a_killed_one_was(server: FileServer, path: Path, validator: str | None) -> None:
    server.etag, server.last_modified = validator, "Mon, 01 Jan 2024 00:00:00 GMT"
    server.faults = [Fault(cut_after=70_000)]
    code = (
        "import sys; from pathlib import Path; from tasks.progress import NullProgress\n"
        "from tasks.download.fetch import Expected, fetch; from tasks.download.retry_policy import RetryPolicy\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), Expected(), NullProgress(), RetryPolicy(first_delay=60, max_delay=60))"
    )
    part = beside(path, ".part")
    with running([sys.executable, "-c", code, server.url, path], stdout=None):
        until(lambda: part.exists() and part.stat().st_size >= 60_000)
    held = part.stat().st_size

    progress = Tally()
    assert fetch(server.url, path, exactly(server), progress, QUICK).sha256 == server.sha256
    assert server.requests[1]["Range"] == f"bytes={held}-"
    assert server.requests[1]["If-Range"] == (validator or server.last_modified)
    assert progress == Tally(len(CONTENT), "B", len(CONTENT), beginnings=1)


def test_a_server_that_sends_the_rest_in_pieces_is_asked_for_all_of_them(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.faults = [Fault(piece=50_000), Fault(piece=50_000)]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert [asked["Range"] for asked in server.requests] == ["bytes=70000-", "bytes=120000-", "bytes=170000-"]


@pytest.mark.parametrize(("known", "asked"), [(False, [f"bytes={len(CONTENT)}-"]), (True, [])])
def test_a_part_that_is_whole_is_published(server: FileServer, path: Path, known: bool, asked: list[str]) -> None:
    """A server need only say that nothing follows, and only where the size is unknown."""
    broken_off(server, path)
    beside(path, ".part").write_bytes(CONTENT)
    assert get(server, path, exactly(server) if known else ANYTHING).sha256 == server.sha256
    assert [request["Range"] for request in server.requests] == asked


@pytest.mark.parametrize(
    ("changed", "fault"),
    [(False, Fault(ignore_range=True)), (True, Fault()), (True, Fault(ignore_if_range=True))],
    ids=["Range is ignored", "another version", "If-Range is ignored"],
)
def test_another_version_is_read_from_the_start(server: FileServer, path: Path, changed: bool, fault: Fault) -> None:
    broken_off(server, path)
    if changed:
        server.change(CONTENT[::-1], '"two"')
    server.faults = [fault]
    assert get(server, path).sha256 == server.sha256
    assert path.read_bytes() == server.content


NOTES = {
    "cut": '{"url": "http',
    "a list": "[]",
    "a URL that is a number": '{"url": 1, "etag": "x", "last_modified": null}',
    "another URL": '{"url": "http://elsewhere/", "etag": "\\"one\\"", "last_modified": null}',
    "a query that the part lacks": '{"url": "URL?version=2", "etag": "\\"one\\"", "last_modified": null}',
    "a total that is a text": '{"url": "URL", "etag": "\\"one\\"", "last_modified": null, "total": "9"}',
    "a total below the bytes": '{"url": "URL", "etag": "\\"one\\"", "last_modified": null, "total": 9}',
    "an ETag that cannot be sent": '{"url": "URL", "etag": "\\n", "last_modified": null}',
    "a weak ETag": '{"url": "URL", "etag": "W/\\"one\\"", "last_modified": null}',
    "no validator": '{"url": "URL", "etag": null, "last_modified": null}',
    "nothing": "",
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_bytes_of_an_unknown_version_are_dropped(server: FileServer, path: Path, note: str) -> None:
    broken_off(server, path)
    beside(path, ".part").write_bytes(b"?" * 70_000)
    beside(path, ".part.json").write_text(note.replace("URL", server.url))
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_many_threads_take_turns_though_each_removes_an_empty_part(path: Path) -> None:
    script = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tasks.download.partial import open_partial

inside = []

def turn(number):
    with open_partial(Path(sys.argv[1])):
        inside.append(number)
        assert len(inside) == 1
        inside.clear()

with ThreadPoolExecutor(8) as pool:
    list(pool.map(turn, range(4000)))
"""
    # In a process of its own: a lock that is never given back must not keep the other tests waiting.
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=TIMEOUT)
    assert left(path) == {}
