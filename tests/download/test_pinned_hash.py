"""The first download of a file is trusted and pinned; later ones must be the same file."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.download.fetch import FetchedFile
from tasks.download.pinned_hash import fetch_pinned, pin_path
from tasks.errors import DownloadError, StoreError
from tests.download.fetching import CONTENT, QUICK, left, put
from tests.support.progress import Tally
from tests.support.servers.file_server import Fault, FileServer

HAND_MADE = b"put there by hand"


def get(files: FileServer, path: Path) -> tuple[FetchedFile, list[str]]:
    """Fetch the file, and return the reported lines."""
    told = Tally()
    return fetch_pinned(files.url, path, told, QUICK), told.lines


def test_the_first_download_is_pinned_and_one_line_says_so_once(server: FileServer, path: Path) -> None:
    line = f"photos.tgz: sha256 {server.sha256} trusted on first use, kept in {path}.sha256"
    fetched = FetchedFile(path, len(CONTENT), server.sha256)
    assert [get(server, path), get(server, path)] == [(fetched, [line]), (fetched, [])]
    assert len(server.requests) == 1
    assert left(path).keys() == {"photos.tgz", "photos.tgz.json", "photos.tgz.sha256"}


def test_sha256sum_checks_the_pin(server: FileServer, path: Path) -> None:
    get(server, path)
    sha256sum = shutil.which("sha256sum")
    if sha256sum is None:
        pytest.skip("no sha256sum here")
    check = [sha256sum, "-c", "--strict", pin_path(path).name]
    assert subprocess.run(check, cwd=path.parent, check=False, capture_output=True).returncode == 0
    path.write_bytes(CONTENT[::-1])
    assert subprocess.run(check, cwd=path.parent, check=False, capture_output=True).returncode == 1


def test_a_pin_that_sha256sum_wrote_in_binary_mode_is_one(server: FileServer, path: Path) -> None:
    put(pin_path(path), f"{server.sha256} *{path.name}\n".encode())
    assert get(server, path) == (FetchedFile(path, len(CONTENT), server.sha256), [])


def test_another_file_later_names_the_url_both_hashes_and_the_pin_to_delete(server: FileServer, path: Path) -> None:
    pinned = get(server, path)[0].sha256
    path.unlink()
    server.change(b"another file", '"two"')
    with pytest.raises(DownloadError) as caught:
        get(server, path)
    text = str(caught.value)
    for part in (server.url, server.sha256, pinned, f"that you trust, delete {pin_path(path)}"):
        assert part in text
    assert "catalog" not in text
    assert not path.exists()


def test_without_its_pin_the_new_file_is_trusted(server: FileServer, path: Path) -> None:
    get(server, path)
    server.change(b"another file", '"two"')
    pin_path(path).unlink()
    fetched, lines = get(server, path)
    assert (fetched.sha256, len(lines)) == (server.sha256, 1)
    assert path.read_bytes() == b"another file"
    assert pin_path(path).read_text() == f"{server.sha256}  photos.tgz\n"


def test_a_file_that_a_person_put_there_is_pinned_without_the_server(server: FileServer, path: Path) -> None:
    sha256 = put(path, HAND_MADE)
    fetched, lines = get(server, path)
    assert (fetched.sha256, server.requests) == (sha256, [])
    assert sha256 in lines[0]
    assert pin_path(path).read_text() == f"{sha256}  photos.tgz\n"


def test_without_a_server_a_file_that_does_not_fit_its_pin_is_named(server: FileServer, path: Path) -> None:
    pinned = get(server, path)[0].sha256
    put(path, HAND_MADE)
    server.faults = [Fault(status=404)]
    with pytest.raises(DownloadError, match=rf"expected {pinned}; if it is the right one, delete .*\.sha256\.$"):
        get(server, path)
    assert path.read_bytes() == HAND_MADE


def test_without_a_server_the_first_time_nothing_is_pinned(server: FileServer, path: Path) -> None:
    server.faults = [Fault(status=404)]
    with pytest.raises(DownloadError, match=rf"without internet, put the file at {re.escape(str(path))}\.$"):
        get(server, path)
    assert left(path) == {}


@pytest.mark.parametrize(
    "pin", ["", "no hash", f"{'a' * 64}  another.tgz\n", f"{'A' * 64}  photos.tgz\n", f"{'a' * 64}  photos.tgz\nmore\n"]
)
def test_a_damaged_pin_is_named_and_accepts_no_file(server: FileServer, path: Path, pin: str) -> None:
    put(pin_path(path), pin.encode())
    with pytest.raises(StoreError, match=r"photos\.tgz\.sha256 is damaged"):
        get(server, path)
    assert (server.requests, left(path)) == ([], {"photos.tgz.sha256": pin.encode()})


def test_an_unreadable_pin_is_reported(server: FileServer, path: Path) -> None:
    pin_path(path).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"photos\.tgz\.sha256 cannot be read"):
        get(server, path)
