"""A file is fetched whole and verified, or not at all; one that is there is not fetched again."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.download.fetch import Expected, FetchedFile, fetch
from tasks.errors import DownloadError, MachineError, StoreError
from tasks.progress import NullProgress
from tests.download.fetching import CONTENT, QUICK, beside, broken_off, exactly, get, left, put
from tests.support.servers.file_server import Fault, FileServer

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_arrives_verified_with_its_state_beside_it(server: FileServer, path: Path) -> None:
    assert get(server, path, exactly(server)) == FetchedFile(path, len(CONTENT), SHA256)
    version = {"url": server.url, "etag": '"one"', "last_modified": None}
    state = json.loads(beside(path, ".json").read_bytes())
    assert state == {**version, "sha256": SHA256, "size": len(CONTENT)}
    assert left(path).keys() == {"photos.tgz", "photos.tgz.json"}
    assert path.read_bytes() == CONTENT
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_a_wrong_hash_names_both_and_leaves_the_old_file(server: FileServer, path: Path) -> None:
    put(path, b"old but good")
    with pytest.raises(DownloadError) as caught:
        get(server, path, Expected(None, "0" * 64))
    for part in ("0" * 64, SHA256, "give its size and hash in data/catalog.toml"):
        assert part in str(caught.value)
    assert left(path) == {"photos.tgz": b"old but good"}


def test_a_wrong_size_names_both_before_anything_is_read(server: FileServer, path: Path) -> None:
    with pytest.raises(DownloadError, match=r"204,800 bytes where 77 are expected"):
        get(server, path, Expected(77, None))
    assert left(path) == {}


def test_a_page_in_place_of_the_file_does_not_cost_the_part_that_came_before(server: FileServer, path: Path) -> None:
    broken_off(server, path)
    expected = exactly(server)
    server.content, server.etag = b"<html>Log in to this network</html>", None
    with pytest.raises(DownloadError, match="or a page about an error"):
        get(server, path, expected)
    server.content, server.etag = CONTENT, '"one"'
    get(server, path, expected)
    assert server.requests[-1]["Range"] == "bytes=70000-"


@pytest.mark.parametrize("expected", [Expected(len(CONTENT), SHA256), Expected()], ids=["known", "by hand"])
def test_a_known_file_is_taken_without_the_server(server: FileServer, path: Path, expected: Expected) -> None:
    put(path, CONTENT)
    assert get(server, path, expected) == FetchedFile(path, len(CONTENT), SHA256)
    assert server.requests == []


def test_a_file_with_another_hash_is_replaced(server: FileServer, path: Path) -> None:
    put(path, CONTENT[::-1])
    get(server, path, exactly(server))
    assert path.read_bytes() == CONTENT


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
    assert get(server, path) == FetchedFile(path, 3, server.sha256)
    assert path.read_bytes() == b"new"


def test_a_fetched_file_that_was_changed_by_hand_is_fetched_anew(server: FileServer, path: Path) -> None:
    get(server, path)
    path.write_bytes(b"changed")
    get(server, path)
    assert path.read_bytes() == CONTENT


def test_without_a_server_the_error_offers_the_earlier_file(server: FileServer, path: Path) -> None:
    get(server, path)
    server.faults = [Fault(status=404)]
    with pytest.raises(DownloadError, match=r"delete photos\.tgz\.json beside it"):
        get(server, path)
    beside(path, ".json").unlink()
    assert get(server, path).sha256 == SHA256


def test_two_runs_at_once_fetch_the_file_once(server: FileServer, path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: get(server, path, exactly(server)), range(4)))
    assert [result.sha256 for result in results] == [SHA256] * 4
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_made_is_reported(server: FileServer, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(MachineError, match="could not be written"):
        get(server, path)


STATES = {
    "cut": '{"url": "http',
    "another kind": '["url"]',
    "no JSON": "\x00\x01",
    "fields that are missing": '{"url": 1}',
    "a URL that is a number": '{"url": 1, "etag": null, "last_modified": null, "sha256": "", "size": 1}',
    "a size that is a text": '{"url": "x", "etag": null, "last_modified": null, "sha256": "", "size": "1"}',
    "a field too many": '{"url": "x", "etag": null, "last_modified": null, "sha256": "", "size": 1, "more": 1}',
}


@pytest.mark.parametrize("text", STATES.values(), ids=STATES)
def test_a_damaged_state_is_named_and_keeps_the_good_file(server: FileServer, path: Path, text: str) -> None:
    get(server, path)
    beside(path, ".json").write_text(text)
    server.content, server.etag = b"another", '"two"'
    with pytest.raises(StoreError, match=r"photos\.tgz\.json is damaged .* Delete it"):
        get(server, path)
    assert left(path) == {"photos.tgz": CONTENT, "photos.tgz.json": text.encode()}


@pytest.mark.parametrize("etag", [1, ["x"], "line\nbreak", "not ascii: \u00fc", "x" * 2000, ""])
def test_an_etag_that_no_server_takes_is_not_sent(server: FileServer, path: Path, etag: object) -> None:
    get(server, path)
    state = beside(path, ".json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"etag": etag}))
    assert get(server, path).sha256 == SHA256
    assert "If-None-Match" not in server.requests[-1]


def refuse(_: Path, url: str) -> None:
    raise DownloadError(f"{url} is no archive")


def test_a_file_that_fails_the_check_leaves_the_earlier_one_and_its_state(server: FileServer, path: Path) -> None:
    get(server, path)
    before = left(path)
    server.content, server.etag = b"garbage", '"two"'
    with pytest.raises(DownloadError, match="is no archive"):
        get(server, path, Expected(verify=refuse))
    assert left(path) == before


def test_a_file_with_the_expected_hash_needs_no_check(server: FileServer, path: Path) -> None:
    assert get(server, path, Expected(sha256=SHA256, verify=refuse)).sha256 == SHA256


def test_neither_password_nor_token_is_shown_or_kept(
    server: FileServer, path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    url = server.url.replace("http://", "http://me:hunter2@") + "?token=sesame"
    server.faults = [Fault(status=503), Fault(cut_after=70_000), Fault(status=404)]
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, Expected(), NullProgress(), QUICK)
    kept = [data.decode() for name, data in left(path).items() if name.endswith(".json")]
    fetch(url, path, Expected(), NullProgress(), QUICK)
    kept.append(beside(path, ".json").read_text())
    assert server.requests[-1]["Range"] == "bytes=70000-"
    assert server.requests[-1]["Authorization"].startswith("Basic")
    assert f"{server.url}?…" in str(caught.value)
    assert f"{server.url}?…" in caplog.text
    assert len(kept) == 2
    shown = "".join([str(caught.value), caplog.text, *capfd.readouterr(), *kept])
    assert "hunter2" not in shown
    assert "sesame" not in shown
