"""Fetching from a real HTTP server that misbehaves in all the ways that servers do."""

import hashlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tasks.download.fetch import Expected, Fetched, Patience, fetch
from tasks.errors import DownloadError, StoreError
from tasks.progress import Silence
from tests.download.server import FileServer, Mood, serving

CONTENT = bytes(range(256)) * 800
QUICK = Patience(attempts=3, first_pause=0.01, longest_pause=0.02, timeout=5.0)
ANYTHING = Expected()


class Recorder:
    """Progress that remembers the last beginning and all that was done since."""

    def __init__(self) -> None:
        self.total = -1
        self.done = 0
        self.beginnings = 0

    def start(self, total: int, unit: str) -> None:
        """Begin anew."""
        assert unit == "B"
        self.total, self.done = total, 0
        self.beginnings += 1

    def advance(self, count: int) -> None:
        """Count."""
        self.done += count


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT, etag='"one"')) as files:
        yield files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "download" / "photos.tgz"


def exactly(files: FileServer) -> Expected:
    return Expected(len(files.content), files.sha256)


def get(files: FileServer, path: Path, expected: Expected = ANYTHING, patience: Patience = QUICK) -> Fetched:
    return fetch(files.url, path, expected, Silence(), patience)


def test_a_file_arrives_verified_with_its_state_beside_it(server: FileServer, path: Path) -> None:
    fetched = get(server, path, exactly(server))
    assert fetched == Fetched(path, len(CONTENT), server.sha256, '"one"', None)
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in path.parent.iterdir()) == ["photos.tgz", "photos.tgz.json"]


def test_compression_on_the_way_is_declined(server: FileServer, path: Path) -> None:
    get(server, path)
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_redirects_are_followed(server: FileServer, path: Path) -> None:
    server.moods = [Mood(status=302, headers={"Location": "/elsewhere.tgz"})]
    assert get(server, path).sha256 == server.sha256
    assert len(server.requests) == 2


def test_progress_counts_every_byte_once_even_when_the_transfer_breaks_off(server: FileServer, path: Path) -> None:
    server.moods = [Mood(cut_after=70_000)]
    recorder = Recorder()
    fetch(server.url, path, ANYTHING, recorder, QUICK)
    assert (recorder.total, recorder.done, recorder.beginnings) == (len(CONTENT), len(CONTENT), 1)


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
    assert len(server.requests) == 1 + QUICK.attempts


@pytest.mark.parametrize("validator", ['"one"', None], ids=["etag", "last-modified"])
def test_another_process_goes_on_where_a_killed_one_was(server: FileServer, path: Path, validator: str | None) -> None:
    server.etag, server.last_modified = validator, "Mon, 01 Jan 2024 00:00:00 GMT"
    server.moods = [Mood(cut_after=70_000)]
    code = (
        "import sys; from pathlib import Path; from tasks.progress import Silence\n"
        "from tasks.download.fetch import Expected, Patience, fetch\n"
        "fetch(sys.argv[1], Path(sys.argv[2]), Expected(), Silence(), Patience(first_pause=60, longest_pause=60))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, server.url, str(path)])
    part = path.with_name("photos.tgz.part")
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 60_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    held = part.stat().st_size

    recorder = Recorder()
    assert fetch(server.url, path, exactly(server), recorder, QUICK).sha256 == server.sha256
    assert server.requests[1]["Range"] == f"bytes={held}-"
    assert server.requests[1]["If-Range"] == (validator or server.last_modified)
    assert recorder.done == recorder.total == len(CONTENT)


def broken_off(files: FileServer, path: Path, after: int = 70_000) -> None:
    """Leave a part of the file behind."""
    files.moods = [Mood(cut_after=after)]
    with pytest.raises(DownloadError):
        get(files, path, patience=Patience(attempts=0, first_pause=0, timeout=5.0))
    assert path.with_name("photos.tgz.part").stat().st_size == after
    assert not path.exists()
    files.requests.clear()


def test_a_server_that_ignores_range_is_read_from_the_start(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.moods = [Mood(ignore_range=True)]
    assert get(server, path).sha256 == server.sha256


def test_a_file_that_changed_meanwhile_is_read_from_the_start(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    server.content, server.etag = CONTENT[::-1], '"two"'
    assert get(server, path) == Fetched(path, len(CONTENT), server.sha256, '"two"', None)
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
    fetch(f"{server.url}?version=2", path, exactly(server), Silence(), QUICK)
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


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_in_passing_trouble_is_asked_again(server: FileServer, path: Path, status: int) -> None:
    server.moods = [Mood(status=status), Mood(status=status)]
    assert get(server, path).sha256 == server.sha256
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_server_that_refuses_is_asked_once(server: FileServer, path: Path, status: int) -> None:
    server.moods = [Mood(status=status)]
    with pytest.raises(DownloadError, match=str(status)):
        get(server, path)
    assert len(server.requests) == 1
    assert list(path.parent.iterdir()) == []


def test_the_pause_that_a_server_asks_for_is_kept(server: FileServer, path: Path) -> None:
    server.moods = [Mood(status=429, headers={"Retry-After": "1"})]
    begun = time.monotonic()
    get(server, path)
    assert time.monotonic() - begun >= 1.0


def test_a_pause_may_be_asked_for_as_a_date(server: FileServer, path: Path) -> None:
    then = datetime.now(UTC) + timedelta(seconds=2)
    server.moods = [Mood(status=503, headers={"Retry-After": format_datetime(then, usegmt=True)})]
    get(server, path)
    assert datetime.now(UTC) >= then.replace(microsecond=0)


def test_a_server_that_asks_for_a_very_long_pause_is_given_up(server: FileServer, path: Path) -> None:
    server.moods = [Mood(status=503, headers={"Retry-After": "86400"})]
    with pytest.raises(DownloadError, match="503"):
        get(server, path)
    assert len(server.requests) == 1


def test_a_server_that_falls_silent_is_tried_again(server: FileServer, path: Path) -> None:
    server.moods = [Mood(stall=True)]
    assert get(server, path, patience=Patience(2, 0.01, 0.02, timeout=0.3)).sha256 == server.sha256


def test_without_a_server_the_error_says_what_was_tried_and_what_to_do(path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/photos.tgz"
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, ANYTHING, Silence(), QUICK)
    text = str(caught.value)
    assert url in text
    assert "tried 3 times" in text
    assert f"put the file at {path} or use --dataset sample" in text
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("url", ["ftp://example.org/photos.tgz", "http://[/photos.tgz"])
def test_a_url_that_is_none_is_an_error_of_ours(path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="could not be fetched"):
        fetch(url, path, ANYTHING, Silence(), QUICK)


def test_a_wrong_hash_names_both_and_leaves_the_old_file(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old but good")
    wanted = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DownloadError) as caught:
        get(server, path, Expected(None, wanted))
    assert wanted in str(caught.value)
    assert server.sha256 in str(caught.value)
    assert path.read_bytes() == b"old but good"
    assert [file.name for file in path.parent.iterdir()] == ["photos.tgz"]


def test_a_wrong_size_names_both_before_anything_is_read(server: FileServer, path: Path) -> None:
    with pytest.raises(DownloadError, match=r"204,800 bytes where 77 are expected"):
        get(server, path, Expected(77, None))
    assert list(path.parent.iterdir()) == []


def test_a_page_in_place_of_the_file_does_not_cost_the_part_that_came_before(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    expected = exactly(server)
    server.content, server.etag = b"<html>Log in to this network</html>", None
    with pytest.raises(DownloadError, match="or a page about an error"):
        get(server, path, expected)
    server.content, server.etag = CONTENT, '"one"'
    get(server, path, expected)
    assert server.requests[-1]["Range"] == "bytes=70000-"


def test_a_file_with_the_expected_hash_is_taken_without_the_server(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    expected = Expected(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert fetch("http://127.0.0.1:9/photos.tgz", path, expected, Silence(), QUICK).size == len(CONTENT)


def test_a_file_with_another_hash_is_replaced(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT[::-1])
    get(server, path, exactly(server))
    assert path.read_bytes() == CONTENT


def test_without_a_server_a_file_with_another_hash_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"other")
    with pytest.raises(DownloadError, match="has another size or sha256 than"):
        fetch("http://127.0.0.1:9/photos.tgz", path, Expected(None, "0" * 64), Silence(), Patience(1, timeout=5.0))


def test_a_file_that_a_person_put_there_is_taken_if_no_hash_is_expected(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"by hand")
    assert get(server, path).sha256 == hashlib.sha256(b"by hand").hexdigest()
    assert server.requests == []


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', None])
def test_an_unchanged_file_is_not_sent_again(server: FileServer, path: Path, etag: str | None) -> None:
    server.etag, server.last_modified = etag, "Mon, 01 Jan 2024 00:00:00 GMT"
    first = get(server, path)
    inode = path.stat().st_ino
    assert get(server, path) == first
    assert path.stat().st_ino == inode
    assert len(server.requests) == 2


def test_a_changed_file_is_sent_again(server: FileServer, path: Path) -> None:
    get(server, path)
    server.content, server.etag = b"new", '"two"'
    assert get(server, path) == Fetched(path, 3, server.sha256, '"two"', None)
    assert path.read_bytes() == b"new"


def test_a_fetched_file_that_was_changed_by_hand_is_fetched_anew(server: FileServer, path: Path) -> None:
    get(server, path)
    path.write_bytes(b"changed")
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_without_a_server_the_error_says_how_to_go_on_with_an_earlier_file(server: FileServer, path: Path) -> None:
    get(server, path)
    server.moods = [Mood(status=404)]
    with pytest.raises(DownloadError, match=r"delete photos\.tgz\.json beside it"):
        get(server, path)
    path.with_name("photos.tgz.json").unlink()
    assert get(server, path).sha256 == server.sha256


def test_a_damaged_state_is_named(server: FileServer, path: Path) -> None:
    get(server, path)
    path.with_name("photos.tgz.json").write_text('{"url": 1}')
    with pytest.raises(StoreError, match=r"photos\.tgz\.json is damaged"):
        get(server, path)


def test_two_runs_at_once_fetch_the_file_once(server: FileServer, path: Path) -> None:
    results: list[Fetched] = []
    runs = [threading.Thread(target=lambda: results.append(get(server, path, exactly(server)))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [result.sha256 for result in results] == [server.sha256] * 4
    assert len(server.requests) == 1


def test_an_empty_file_can_be_fetched(server: FileServer, path: Path) -> None:
    server.content = b""
    assert get(server, path).size == 0
    assert path.read_bytes() == b""


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(server: FileServer, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="could not be written"):
        get(server, path)
