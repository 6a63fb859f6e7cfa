"""Servers of one file, proxies before them, and the path that the file is fetched to."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.download.archive_files import GOOD, take
from tests.download.fetching import CONTENT, forget_network_settings
from tests.support.servers.certificates import Certificate, make_certificate
from tests.support.servers.file_server import FileServer, serving
from tests.support.servers.proxy_server import ProxyServer, proxying


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT, etag='"one"')) as files:
        yield files


@pytest.fixture
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, and only Mozilla's certificate authorities."""
    forget_network_settings(monkeypatch)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def safe(certificate: Certificate) -> Iterator[FileServer]:
    """A server of https with an untrusted certificate."""
    with serving(FileServer(CONTENT, etag='"one"'), certificate.server) as files:
        yield files


@pytest.fixture
def trusted(
    plain_network: None, safe: FileServer, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> FileServer:
    """A server of https with a trusted certificate."""
    del plain_network  # removes the variable, so it comes first
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    return safe


@pytest.fixture
def proxied(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ProxyServer]]:
    """Starts a proxy, and lets an environment variable name it: `proxied("socks5://", variable="HTTP_PROXY")`."""
    with ExitStack() as running:

        def start(prefix: str, proxy: ProxyServer | None = None, variable: str = "ALL_PROXY") -> ProxyServer:
            started = proxy or ProxyServer()
            tls = certificate.server if prefix == "https://" else None
            running.enter_context(proxying(started, tls, socks=prefix.startswith("socks")))
            monkeypatch.setenv(variable, f"{prefix}{started.place}")
            return started

        yield start


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root into which a good archive was extracted."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "good.tgz").write_bytes(GOOD["gz"])
    take(folder / "data", folder / "good.tgz")
    return folder / "data"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "download" / "photos.tgz"


@pytest.fixture
def unused() -> Iterator[str]:
    """Host and port that refuse connections: the port is bound, so that no other program gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"
