"""Proxies and certificates that the environment names, as a user of the command meets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.download.fetching import CONTENT, forget_network_settings
from tests.download.proxy_servers import ProxyServer, socks_proxy
from tests.download.server import FileServer, Mood, serving
from tests.download.tls import make_certificate
from tests.pipeline.command import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A data root of nothing, where no variable says how the network is reached."""
    forget_network_settings(monkeypatch)
    return Project(tmp_path / "photos", tmp_path / "data")


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A server that never has the file."""
    with serving(FileServer(b"", moods=[Mood(status=404)] * 9)) as files:
        yield files


def test_a_proxy_that_cannot_be_used_is_named_without_its_password(project: Project, server: FileServer) -> None:
    done = project.retrain({"ALL_PROXY": "socks4://me:hunter2@proxy:1080", "NO_PROXY": "[::1],::1"}, dataset=server.url)
    assert done.code == 53
    assert "the proxy ALL_PROXY=socks4://proxy:1080 cannot be used: only http, https, socks, socks5" in done.errors
    assert "Mend or unset ALL_PROXY and run again" in done.errors
    assert "Traceback" not in done.errors
    assert "hunter2" not in done.output + done.errors
    assert server.requests == []


def test_a_socks_proxy_of_gnome_is_gone_through(project: Project, server: FileServer) -> None:
    with socks_proxy(ProxyServer(("me", "hunter2"))) as proxy:
        done = project.retrain({"ALL_PROXY": f"socks://me:hunter2@{proxy.place}/"}, dataset=server.url)
    assert done.code == 53
    assert "the server answered 404" in done.errors
    assert [f"http://{target}/photos.tgz" for target in proxy.targets] == [server.url]


def test_a_certificate_that_cannot_be_verified_is_told_at_once_with_what_to_set(
    project: Project, tmp_path: Path
) -> None:
    with serving(FileServer(CONTENT), make_certificate(tmp_path).server) as server:
        done = project.retrain(dataset=server.url)
    assert done.code == 53
    assert "the certificate of 127.0.0.1 cannot be verified: self-signed certificate" in done.errors
    assert "set SSL_CERT_FILE to a file of its certificates (PEM) and run again" in done.errors
    assert "trying again" not in done.errors
    assert "Traceback" not in done.errors


def test_certificates_that_are_not_there_are_named_and_no_room_is_asked_for(project: Project, tmp_path: Path) -> None:
    gone = tmp_path / "authorities.pem"
    done = project.retrain({"SSL_CERT_FILE": str(gone)}, dataset="https://127.0.0.1:9/photos.tgz")
    assert done.code == 53
    assert f"SSL_CERT_FILE={gone} cannot be used: No such file or directory" in done.errors
    assert "room" not in done.errors
    assert "Traceback" not in done.errors
