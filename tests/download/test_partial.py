"""A transfer that breaks off goes on where it was, if the rest still belongs to it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.download.fetch import FetchedFile, fetch
from tasks.errors import DownloadError
from tasks.progress import NullProgress
from tests.download.fetching import ANYTHING, CONTENT, QUICK, broken_off, exactly, get
from tests.download.server import FileServer, Mood
from tests.support.processes import TIMEOUT, running, until
from tests.support.progress import Tally


def test_progress_counts_every_byte_once_even_when_the_transfer_breaks_off(server: FileServer, path: Path) -> None:
    server.moods = [Mood(cut_after=70_000)]
    recorder = Tally()
    fetch(server.url, path, ANYTHING, recorder, QUICK)
    assert (recorder.total, recorder.done, recorder.beginnings) == (len(CONTENT), len(CONTENT), 1)
    assert recorder.unit == "B"


def test_a_transfer_that_broke_off_goes_on_where_it_was(server: FileServer, path: Path) -> None:
    server.moods = [Mood(cut_after=70_000)]
    assert get(server, path, exactly(server)).sha256 == server.sha256
    first, second = server.requests
    assert "Range" not in first
    assert (second["Range"], second["If-Range"]) == ("bytes=70000-", '"one"')


def test_attempts_that_bring_something_new_do_not_use_up_the_patience(server: FileServer, path: Path) -> None:
    server.moods = [Mood(cut_after=20_000) for _ in range(9)]
    assert get(server, path, exactly(server)).sha256 == server.sha256
    assert len(server.requests) == 10


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(server: FileServer, path: Path) -> None:
    server.moods = [Mood(cut_after=20_000, ignore_range=True) for _ in range(50)]
    with pytest.raises(DownloadError, match="could not be fetched"):
        get(server, path)
    assert len(server.requests) == 1 + QUICK.max_attempts


@pytest.mark.parametrize("validator", ['"one"', None], ids=["etag", "last-modified"])
def test_another_process_goes_on_where_a_killed_one_was(server: FileServer, path: Path, validator: str | None) -> None:
    server.etag, server.last_modified = validator, "Mon, 01 Jan 2024 00:00:00 GMT"
    server.moods = [Mood(cut_after=70_000)]
    code = (
        "import sys; from pathlib import Path; from tasks.progress import NullProgress\n"
        "from tasks.download.fetch import Expected, fetch; from tasks.download.retry_policy import RetryPolicy\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), Expected(), NullProgress(), RetryPolicy(first_delay=60, max_delay=60))"
    )
    part = path.with_name("photos.tgz.part")
    with running([sys.executable, "-c", code, server.url, path], stdout=None):
        until(lambda: part.exists() and part.stat().st_size >= 60_000)
    held = part.stat().st_size

    recorder = Tally()
    assert fetch(server.url, path, exactly(server), recorder, QUICK).sha256 == server.sha256
    assert server.requests[1]["Range"] == f"bytes={held}-"
    assert server.requests[1]["If-Range"] == (validator or server.last_modified)
    assert recorder.done == recorder.total == len(CONTENT)
    assert recorder.unit == "B"


def test_a_server_that_ignores_range_is_read_from_the_start(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.moods = [Mood(ignore_range=True)]
    assert get(server, path).sha256 == server.sha256


def test_a_file_that_changed_meanwhile_is_read_from_the_start(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert get(server, path) == FetchedFile(path, len(CONTENT), server.sha256)
    assert path.read_bytes() == CONTENT[::-1]


def test_a_changed_file_is_noticed_even_if_the_server_ignores_if_range(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    server.moods = [Mood(ignore_if_range=True)]
    get(server, path)
    assert path.read_bytes() == CONTENT[::-1]


def test_a_server_that_sends_the_rest_in_pieces_is_asked_for_all_of_them(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.moods = [Mood(piece=50_000), Mood(piece=50_000)]
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert [asked["Range"] for asked in server.requests] == ["bytes=70000-", "bytes=120000-", "bytes=170000-"]


def test_without_a_validator_nothing_is_resumed(server: FileServer, path: Path) -> None:
    server.etag = None
    broken_off(server, path)
    get(server, path)
    assert "Range" not in server.requests[0]


def test_a_weak_etag_is_not_used_to_resume(server: FileServer, path: Path) -> None:
    server.etag = 'W/"one"'
    broken_off(server, path)
    get(server, path)
    assert "Range" not in server.requests[0]


def test_a_part_of_another_url_is_not_used(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    fetch(f"{server.url}?version=2", path, exactly(server), NullProgress(), QUICK)
    assert "Range" not in server.requests[0]


def test_a_part_that_is_whole_is_published_when_the_server_says_that_nothing_follows(
    server: FileServer, path: Path
) -> None:
    broken_off(server, path)
    path.with_name("photos.tgz.part").write_bytes(CONTENT)
    assert get(server, path).sha256 == server.sha256
    assert server.requests[0]["Range"] == f"bytes={len(CONTENT)}-"


def test_a_part_that_is_longer_than_the_file_is_dropped(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    path.with_name("photos.tgz.part").write_bytes(CONTENT + b"more")
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_a_part_of_the_expected_size_is_verified_without_the_server(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    path.with_name("photos.tgz.part").write_bytes(CONTENT)
    get(server, path, exactly(server))
    assert server.requests == []
    assert path.read_bytes() == CONTENT


def test_many_at_once_take_turns_though_each_removes_what_it_leaves_empty(path: Path) -> None:
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
    assert list(path.parent.iterdir()) == []


NOTES = {
    "cut": '{"url": "http',
    "a list": "[]",
    "a URL that is a number": '{"url": 1, "etag": "x", "last_modified": null}',
    "another URL": '{"url": "http://elsewhere/", "etag": "\\"one\\"", "last_modified": null}',
    "a total that is a text": '{"url": "URL", "etag": "\\"one\\"", "last_modified": null, "total": "9"}',
    "a total below the bytes": '{"url": "URL", "etag": "\\"one\\"", "last_modified": null, "total": 9}',
    "an ETag that cannot be sent": '{"url": "URL", "etag": "\\n", "last_modified": null}',
    "nothing": "",
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_bytes_whose_note_is_damaged_are_dropped(server: FileServer, path: Path, note: str) -> None:
    broken_off(server, path)
    path.with_name("photos.tgz.part").write_bytes(b"?" * 70_000)
    path.with_name("photos.tgz.part.json").write_text(note.replace("URL", server.url))
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_the_note_of_another_version_does_not_let_its_bytes_in(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    note = path.with_name("photos.tgz.part.json")
    note.write_text(note.read_text().replace("one", "two"))
    path.with_name("photos.tgz.part").write_bytes(b"?" * 70_000)
    get(server, path)
    assert path.read_bytes() == CONTENT
