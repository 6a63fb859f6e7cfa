"""The first download of a file is trusted and locked; later ones must be the same file."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.download.fetch import FetchedFile
from tasks.download.pinned_hash import fetch_pinned, pin_path
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import DownloadError, StoreError
from tasks.progress import NullProgress
from tests.download.fetching import CONTENT, QUICK
from tests.download.server import FileServer, Mood

HAND_MADE = b"put there by hand"


def get(files: FileServer, path: Path, told: list[str], patience: RetryPolicy = QUICK) -> FetchedFile:
    return fetch_pinned(files.url, path, NullProgress(), told.append, patience)


def put_by_hand(path: Path) -> str:
    """Put a file where a download would be, and return its hash."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(HAND_MADE)
    return hashlib.sha256(HAND_MADE).hexdigest()


def test_the_first_download_is_locked_and_one_line_says_so(server: FileServer, path: Path) -> None:
    told: list[str] = []
    fetched = get(server, path, told)
    assert fetched == FetchedFile(path, len(CONTENT), server.sha256)
    assert told == [f"photos.tgz: sha256 {server.sha256} trusted on first use, kept in {path}.sha256"]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "photos.tgz",
        "photos.tgz.json",
        "photos.tgz.sha256",
    ]


def test_sha256sum_checks_the_lock(server: FileServer, path: Path) -> None:
    get(server, path, [])
    sha256sum = shutil.which("sha256sum")
    if sha256sum is None:
        pytest.skip("no sha256sum here")
    check = [sha256sum, "-c", "--strict", pin_path(path).name]
    assert subprocess.run(check, cwd=path.parent, check=False, capture_output=True).returncode == 0
    path.write_bytes(CONTENT[::-1])
    assert subprocess.run(check, cwd=path.parent, check=False, capture_output=True).returncode == 1


def test_a_lock_that_sha256sum_wrote_in_binary_mode_is_one(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    pin_path(path).write_text(f"{server.sha256} *{path.name}\n")
    told: list[str] = []
    assert get(server, path, told).sha256 == server.sha256
    assert told == []


def test_a_locked_file_is_taken_without_the_server_and_nothing_is_said(server: FileServer, path: Path) -> None:
    get(server, path, [])
    server.requests.clear()
    told: list[str] = []
    assert get(server, path, told).sha256 == server.sha256
    assert (server.requests, told) == ([], [])


def test_another_file_later_names_the_url_both_hashes_and_the_lock_to_delete(server: FileServer, path: Path) -> None:
    locked = get(server, path, []).sha256
    path.unlink()
    server.content, server.etag = b"another file", '"two"'
    with pytest.raises(DownloadError) as caught:
        get(server, path, [])
    text = str(caught.value)
    for part in (server.url, server.sha256, locked, f"that you trust, delete {pin_path(path)}"):
        assert part in text
    assert "catalog" not in text
    assert not path.exists()


def test_without_its_lock_the_new_file_is_trusted(server: FileServer, path: Path) -> None:
    get(server, path, [])
    server.content, server.etag = b"another file", '"two"'
    pin_path(path).unlink()
    told: list[str] = []
    assert get(server, path, told).sha256 == server.sha256
    assert path.read_bytes() == b"another file"
    assert pin_path(path).read_text() == f"{server.sha256}  photos.tgz\n"
    assert len(told) == 1


def test_a_locked_file_that_was_damaged_is_fetched_again(server: FileServer, path: Path) -> None:
    get(server, path, [])
    path.write_bytes(CONTENT[:-1] + b"?")
    get(server, path, [])
    assert path.read_bytes() == CONTENT


def test_a_file_that_a_person_put_there_is_locked_without_the_server(server: FileServer, path: Path) -> None:
    sha256 = put_by_hand(path)
    told: list[str] = []
    assert get(server, path, told).sha256 == sha256
    assert pin_path(path).read_text() == f"{sha256}  photos.tgz\n"
    assert server.requests == []
    assert sha256 in told[0]


def test_without_a_server_a_file_that_does_not_fit_its_lock_is_named_with_the_remedy(
    server: FileServer, path: Path
) -> None:
    locked = get(server, path, []).sha256
    put_by_hand(path)
    server.moods = [Mood(status=404)]
    with pytest.raises(DownloadError, match=rf"expected {locked}; if it is the right one, delete .*\.sha256\.$"):
        get(server, path, [])
    assert path.read_bytes() == HAND_MADE


def test_without_a_server_the_first_time_nothing_is_locked(server: FileServer, path: Path) -> None:
    server.moods = [Mood(status=404)]
    with pytest.raises(DownloadError, match=rf"without internet, put the file at {re.escape(str(path))}\.$"):
        get(server, path, [])
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "lock",
    ["", "no hash", f"{'a' * 64}  another.tgz\n", f"{'A' * 64}  photos.tgz\n", f"{'a' * 64}  photos.tgz\nmore\n"],
)
def test_a_damaged_lock_is_named_and_lets_nothing_in(server: FileServer, path: Path, lock: str) -> None:
    path.parent.mkdir()
    pin_path(path).write_text(lock)
    with pytest.raises(StoreError, match=r"photos\.tgz\.sha256 is damaged"):
        get(server, path, [])
    assert server.requests == []
    assert pin_path(path).read_text() == lock


def test_a_lock_that_cannot_be_read_is_an_error_of_ours(server: FileServer, path: Path) -> None:
    pin_path(path).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"photos\.tgz\.sha256 cannot be read"):
        get(server, path, [])
