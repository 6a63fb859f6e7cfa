"""Redirects over a connection that nobody can read are not led to one that anybody can."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.download.fetch import Expected
from tasks.errors import DownloadError
from tests.download.fetching import CONTENT, get
from tests.download.server import FileServer, Mood, serving
from tests.download.test_misbehaviour import SHORT, dripping


@pytest.fixture
def safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server of https, whose certificate is trusted here."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1"
    command = [openssl, "req", *kind.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving(FileServer(CONTENT, etag='"one"'), tls) as files:
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


def test_a_certificate_that_nobody_vouches_for_is_refused(
    safe: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DownloadError, match="certificate verify failed"):
        get(safe, path, Expected())
    assert safe.requests == []


def test_headers_that_drip_over_https_end_too(safe: FileServer, path: Path) -> None:
    safe.moods = [dripping(b"HTTP/1.1 200 OK\r\nX-Y: ")] * 9
    with pytest.raises(DownloadError, match="did not answer within"):
        get(safe, path, patience=SHORT)
