"""Redirects over a connection that nobody can read are not led to one that anybody can."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import DownloadError
from tests.download.fetching import CONTENT, get
from tests.download.server import FileServer, Mood, serving
from tests.download.test_misbehaviour import SHORT, SLOW, dripping
from tests.download.tls import make_certificate


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of https, whose certificate is trusted here."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    with serving(FileServer(CONTENT, etag='"one"'), certificate.server) as files:
        yield files


def test_a_redirect_from_https_to_http_is_refused(safe: FileServer, server: FileServer, path: Path) -> None:
    safe.moods = [Mood(status=302, headers={"Location": server.url})]
    with pytest.raises(DownloadError, match="redirects from https to http, where anybody"):
        get(safe, path)
    assert (len(safe.requests), server.requests) == (1, [])
    assert list(path.parent.iterdir()) == []


def test_a_redirect_from_http_to_https_and_within_it_is_followed(
    safe: FileServer, server: FileServer, path: Path
) -> None:
    server.moods = [Mood(status=302, headers={"Location": safe.url})]
    safe.moods = [Mood(status=302, headers={"Location": "/elsewhere"})]
    assert get(server, path).sha256 == safe.sha256
    assert len(safe.requests) == 2


def test_a_password_is_not_sent_to_where_a_redirect_leads(safe: FileServer, server: FileServer, path: Path) -> None:
    server.url = server.url.replace("//", "//me:hunter2@")
    server.moods = [Mood(status=302, headers={"Location": safe.url})]
    get(server, path)
    assert "Authorization" in server.requests[0]
    assert "Authorization" not in safe.requests[0]


def test_headers_that_drip_over_https_end_too(safe: FileServer, path: Path) -> None:
    safe.moods = [dripping(b"HTTP/1.1 200 OK\r\nX-Y: ")] * 9
    with pytest.raises(DownloadError, match=SLOW):
        get(safe, path, patience=SHORT)
