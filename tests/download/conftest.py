"""A server of one file, and where that file is to be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.download.environment import forget_network_settings
from tests.download.fetching import CONTENT
from tests.download.server import FileServer, serving
from tests.download.tls import Certificate, make_certificate


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT, etag='"one"')) as files:
        yield files


@pytest.fixture
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, and only Mozilla's certificate authorities."""
    forget_network_settings(monkeypatch)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def safe(certificate: Certificate) -> Iterator[FileServer]:
    """A server of https, whose certificate nobody trusts."""
    with serving(FileServer(CONTENT, etag='"one"'), certificate.server) as files:
        yield files


@pytest.fixture
def trusted(safe: FileServer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """The same, trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    return safe


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "download" / "photos.tgz"
