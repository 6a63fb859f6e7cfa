"""Requests through real proxies and over real TLS, in good and in bad order."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from tasks.errors import DownloadError
from tests.download.fetching import QUICK, SHORT, SLOW, connections_made, dripping, get, refused
from tests.support.servers.file_server import Fault, FileServer
from tests.support.servers.http_server import running
from tests.support.servers.proxy_server import ProxyServer

pytestmark = pytest.mark.usefixtures("plain_network")

LOGIN = ("me", "hun/ter2")
TRIED = "tried 3 times, last: "
Proxied = Callable[..., ProxyServer]


@pytest.mark.parametrize(
    "prefix",
    ["socks5://", "socks5h://", "socks://", "http://", "https://", ""]
    + [f"{scheme}me:hun%2Fter2@" for scheme in ("socks5://", "http://", "")],
)
def test_a_proxy_is_used(prefix: str, trusted: FileServer, server: FileServer, path: Path, proxied: Proxied) -> None:
    proxy = proxied(prefix, ProxyServer(LOGIN if "@" in prefix else None))
    for files in (server, trusted):
        path.unlink(missing_ok=True)
        assert get(files, path).sha256 == server.sha256
    assert [server.url, trusted.url] == [
        f"{scheme}://{target}/photos.tgz" for scheme, target in zip(("http", "https"), proxy.targets, strict=True)
    ]


def test_the_certificate_of_a_proxy_is_verified_even_for_http(server: FileServer, path: Path, proxied: Proxied) -> None:
    proxy = proxied("https://")
    error = refused(server, path)
    assert f"or of the proxy ALL_PROXY=https://{proxy.place}, cannot be verified: self-signed certificate" in error
    assert (proxy.connections, proxy.targets) == (1, [])


def test_no_proxy_excepts_a_host(server: FileServer, path: Path, unused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{unused}")
    monkeypatch.setenv("NO_PROXY", "::1,[::1],fd00::/8,127.0.0.0/8")
    assert get(server, path).sha256 == server.sha256


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_an_unreachable_proxy_is_retried_and_named_without_its_password(
    scheme: str,
    server: FileServer,
    path: Path,
    unused: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HTTP_PROXY", f"{scheme}://me:hunter2@{unused}")
    error = refused(server, path)
    assert TRIED in error
    assert f"refused, through the proxy HTTP_PROXY={scheme}://{unused}" in error
    assert f"through the proxy HTTP_PROXY={scheme}://{unused}; trying again" in caplog.text
    assert "hunter2" not in error + caplog.text


def test_an_error_has_a_first_cause(path: Path, unused: str) -> None:
    """Its causes are looked through for what the machine may be to blame for, which would never end in a circle."""
    with pytest.raises(DownloadError) as caught:
        get(FileServer(b"", url=f"http://{unused}/photos.tgz"), path)
    seen, cause = 0, caught.value.__cause__
    while cause is not None and seen < 20:
        seen, cause = seen + 1, cause.__cause__
    assert (seen < 20, cause) == (True, None)


@pytest.mark.parametrize("login", ["", "me:hunter2@"])
@pytest.mark.parametrize(("kind", "source"), [("http", "server"), ("http", "safe"), ("socks5", "server")])
def test_a_proxy_that_requires_another_login_is_tried_once_and_named(
    login: str, kind: str, source: str, path: Path, proxied: Proxied, request: pytest.FixtureRequest
) -> None:
    files: FileServer = request.getfixturevalue(source)
    proxy = proxied(f"{kind}://{login}", ProxyServer(LOGIN))
    error = refused(files, path)
    asks = (
        f"asks for a user and a password). Write them into ALL_PROXY, as in {kind}://user:password@{proxy.place}, and"
    )
    wanted = "does not accept its user and password). Mend ALL_PROXY and" if login else asks
    assert f"the proxy ALL_PROXY={kind}://{proxy.place} {wanted} run again" in error
    assert "hunter2" not in error
    assert (proxy.connections, files.requests) == (1, [])


@pytest.mark.parametrize(
    ("kind", "answer", "error", "connections"),
    [
        ("http", b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses: 403 Forbidden). Ask whoever runs the proxy", 1),
        ("http", b"HTTP/1.1 405 No tunnels\r\n\r\n", "refuses: 405 No tunnels", 1),
        ("http", b"HTTP/1.1 503 Not now\r\n\r\n", "answered: 503 Not now", 3),
        ("http", b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "answered: 429", 3),
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n", "through the proxy HTTPS_PROXY=http://", 3),
        ("socks5", b"\5\0\5\2\0\1\0\0\0\0\0\0", "does not answer as a SOCKS5 proxy does", 3),
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as a SOCKS5 proxy does", 3),
        ("socks5", b"\5\1", "asks for a user and a password", 1),
    ],
)
def test_the_answer_of_a_proxy_decides_on_a_retry(
    kind: str, answer: bytes, error: str, connections: int, safe: FileServer, path: Path, proxied: Proxied
) -> None:
    proxy = proxied(f"{kind}://", ProxyServer(answer=answer), "HTTPS_PROXY")
    message = refused(safe, path)
    assert error in message
    assert f"HTTPS_PROXY={kind}://{proxy.place}" in message
    assert proxy.connections == connections


def test_a_socks_proxy_without_the_server_is_tried_again(path: Path, unused: str, proxied: Proxied) -> None:
    proxy = proxied("socks5://")
    error = refused(FileServer(b"", url=f"http://{unused}/photos.tgz"), path)
    assert f"{TRIED}the proxy ALL_PROXY=socks5://{proxy.place} answered: Proxy Server could not connect" in error
    assert proxy.targets == [unused] * 3


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("prefix", ["http://", "https://", "socks5://"])
def test_a_silent_proxy_is_given_up_in_time(prefix: str, server: FileServer, path: Path, proxied: Proxied) -> None:
    proxied(prefix, ProxyServer(answer=b""))
    assert "tried 2 times" in refused(server, path, replace(QUICK, max_attempts=2, timeout=0.3))


def test_a_certificate_is_verified_through_a_tunnel_too(safe: FileServer, path: Path, proxied: Proxied) -> None:
    proxy = proxied("http://")
    assert "the certificate of 127.0.0.1 cannot be verified: self-signed certificate" in refused(safe, path)
    assert (proxy.connections, safe.requests) == (1, [])


def test_a_server_without_tls_is_asked_once(server: FileServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = connections_made(monkeypatch)
    server.url = server.url.replace("http:", "https:")
    error = refused(server, path)
    assert len(connections) == 1
    assert "there is no TLS that can be used). Check whether it should be http:// in place of https://" in error


def test_a_proxy_of_http_that_is_called_one_of_https_is_asked_once(
    server: FileServer, path: Path, proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = proxied("http://")
    monkeypatch.setenv("ALL_PROXY", f"https://{proxy.place}")
    error = refused(server, path)
    assert proxy.connections == 1
    assert f"no TLS that can be used, through the proxy ALL_PROXY=https://{proxy.place}). Check whether" in error


def test_a_handshake_that_breaks_off_is_tried_again(path: Path) -> None:
    # This handler hangs up at once.
    server = ThreadingTCPServer(("127.0.0.1", 0), BaseRequestHandler)
    with running(server):
        assert TRIED in refused(FileServer(b"", url=f"https://127.0.0.1:{server.server_address[1]}/photos.tgz"), path)


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
@pytest.mark.parametrize("through", [False, True])
def test_an_invalid_host_name_is_reported(host: str, through: bool, path: Path, proxied: Proxied) -> None:
    if through:
        proxied("socks5://", ProxyServer(answer=b"\5\0"))
    assert "could not be fetched" in refused(FileServer(b"", url=f"http://{host}/photos.tgz"), path)


def test_a_redirect_from_https_to_http_is_refused(trusted: FileServer, server: FileServer, path: Path) -> None:
    trusted.faults = [Fault(status=302, headers={"Location": server.url})]
    assert "redirects from https to http, where anybody" in refused(trusted, path)
    assert (len(trusted.requests), server.requests) == (1, [])


def test_a_redirect_to_https_drops_the_password(trusted: FileServer, server: FileServer, path: Path) -> None:
    server.url = server.url.replace("//", "//me:hunter2@")
    server.faults = [Fault(status=302, headers={"Location": trusted.url})]
    trusted.faults = [Fault(status=302, headers={"Location": "/elsewhere"})]
    assert get(server, path).sha256 == trusted.sha256
    assert len(trusted.requests) == 2
    assert "Authorization" in server.requests[0]
    assert "Authorization" not in trusted.requests[0]


def test_headers_that_drip_over_https_end_too(trusted: FileServer, path: Path) -> None:
    trusted.faults = [dripping(b"HTTP/1.1 200 OK\r\nX-Y: ")] * 9
    with pytest.raises(DownloadError, match=SLOW):
        get(trusted, path, policy=SHORT)
