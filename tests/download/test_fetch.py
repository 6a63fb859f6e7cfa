"""A file is fetched whole and verified, or not at all; one that is there is not fetched again."""

import hashlib
import json
import threading
from pathlib import Path

import pytest

from tasks.download.fetch import Expected, FetchedFile, fetch
from tasks.download.retry_policy import RetryPolicy
from tasks.errors import DownloadError, MachineError, StoreError
from tasks.progress import NullProgress
from tests.download.fetching import CONTENT, QUICK, broken_off, exactly, get
from tests.download.server import FileServer, Mood


def test_a_file_arrives_verified_with_its_state_beside_it(server: FileServer, path: Path) -> None:
    fetched = get(server, path, exactly(server))
    assert fetched == FetchedFile(path, len(CONTENT), server.sha256)
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in path.parent.iterdir()) == ["photos.tgz", "photos.tgz.json"]


def test_compression_on_the_way_is_declined(server: FileServer, path: Path) -> None:
    get(server, path)
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_redirects_are_followed(server: FileServer, path: Path) -> None:
    server.moods = [Mood(status=302, headers={"Location": "/elsewhere.tgz"})]
    assert get(server, path).sha256 == server.sha256
    assert len(server.requests) == 2


def test_a_wrong_hash_names_both_and_leaves_the_old_file(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old but good")
    wanted = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DownloadError) as caught:
        get(server, path, Expected(None, wanted))
    assert wanted in str(caught.value)
    assert server.sha256 in str(caught.value)
    assert "give its size and hash in data/catalog.toml" in str(caught.value)
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
    assert fetch("http://127.0.0.1:9/photos.tgz", path, expected, NullProgress(), QUICK).size == len(CONTENT)


def test_a_file_with_another_hash_is_replaced(server: FileServer, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT[::-1])
    get(server, path, exactly(server))
    assert path.read_bytes() == CONTENT


def test_without_a_server_a_file_with_another_hash_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"other")
    with pytest.raises(DownloadError, match="has another size or sha256 than"):
        fetch(
            "http://127.0.0.1:9/photos.tgz",
            path,
            Expected(None, "0" * 64),
            NullProgress(),
            RetryPolicy(1, timeout=60.0),
        )


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
    assert get(server, path) == FetchedFile(path, 3, server.sha256)
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
    results: list[FetchedFile] = []
    runs = [threading.Thread(target=lambda: results.append(get(server, path, exactly(server)))) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [result.sha256 for result in results] == [server.sha256] * 4
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(server: FileServer, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(MachineError, match="could not be written"):
        get(server, path)


STATES = {
    "cut": '{"url": "http',
    "another kind": '["url"]',
    "no JSON": "\x00\x01",
    "a URL that is a number": '{"url": 1, "etag": null, "last_modified": null, "sha256": "", "size": 1}',
    "a size that is a text": '{"url": "x", "etag": null, "last_modified": null, "sha256": "", "size": "1"}',
    "a field too many": '{"url": "x", "etag": null, "last_modified": null, "sha256": "", "size": 1, "more": 1}',
}


@pytest.mark.parametrize("text", STATES.values(), ids=STATES)
def test_a_damaged_state_keeps_the_good_file(server: FileServer, path: Path, text: str) -> None:
    get(server, path)
    state = path.with_name("photos.tgz.json")
    state.write_text(text)
    server.content, server.etag = b"another", '"two"'
    with pytest.raises(StoreError, match=r"photos\.tgz\.json is damaged .* Delete it"):
        get(server, path)
    assert (path.read_bytes(), state.read_text()) == (CONTENT, text)


@pytest.mark.parametrize("etag", [1, ["x"], "line\nbreak", "not ascii: \u00fc", "x" * 2000, ""])
def test_an_etag_that_no_server_takes_is_not_sent(server: FileServer, path: Path, etag: object) -> None:
    get(server, path)
    state = path.with_name("photos.tgz.json")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"etag": etag}))
    assert get(server, path).sha256 == server.sha256
    assert "If-None-Match" not in server.requests[-1]


def test_a_server_whose_etag_is_not_ascii_is_asked_again_without_it(server: FileServer, path: Path) -> None:
    server.etag = '"\u00fc"'
    get(server, path)
    get(server, path)
    assert "If-None-Match" not in server.requests[-1]


def refuse(_: Path, url: str) -> None:
    raise DownloadError(f"{url} is no archive")


def test_what_does_not_pass_the_check_leaves_the_file_and_its_state(server: FileServer, path: Path) -> None:
    get(server, path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    server.content, server.etag = b"garbage", '"two"'
    with pytest.raises(DownloadError, match="is no archive"):
        get(server, path, Expected(verify=refuse))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_has_the_expected_hash_needs_no_check(server: FileServer, path: Path) -> None:
    assert get(server, path, Expected(sha256=server.sha256, verify=refuse)).sha256 == server.sha256


def test_neither_password_nor_token_is_shown_or_kept(
    server: FileServer, path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    url = server.url.replace("http://", "http://me:hunter2@") + "?token=sesame"
    server.moods = [Mood(status=503), Mood(cut_after=70_000), Mood(status=404)]
    with pytest.raises(DownloadError) as caught:
        fetch(url, path, Expected(), NullProgress(), QUICK)
    told = [str(caught.value), caplog.text, *capfd.readouterr()]
    kept = [file.read_bytes().decode(errors="replace") for file in path.parent.glob("*.json")]
    fetch(url, path, Expected(), NullProgress(), QUICK)
    kept += [file.read_bytes().decode(errors="replace") for file in path.parent.glob("*.json")]
    assert server.requests[-1]["Range"] == "bytes=70000-"
    assert server.requests[-1]["Authorization"].startswith("Basic")
    assert f"{server.url}?…" in told[0]
    assert f"{server.url}?…" in told[1]
    assert len(kept) == 2
    assert not [text for text in told + kept for secret in ("hunter2", "sesame") if secret in text]
