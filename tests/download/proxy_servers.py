"""Real proxies on this machine: SOCKS5 (RFC 1928 and 1929), and HTTP with `CONNECT` and whole URLs."""

import base64
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.servers.http_server import running


@dataclass
class ProxyServer:
    """A proxy: its login, its answer, and the requests that it got.

    Args:
        login: User and password, where it wants them.
        answer: What it answers every request with in place of passing it on; nothing at all where it is empty.
        targets: `host:port` of each request that was passed on, or would have been.
        connections: How many were made to it.
    """

    login: tuple[str, str] | None = None
    answer: bytes | None = None
    targets: list[str] = field(default_factory=list)
    connections: int = 0
    place: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def refuses(self, client: socket.socket) -> bool:
        """Give the answer that it always gives, if it has one."""
        if self.answer:
            client.sendall(self.answer)
        elif self.answer is not None:
            self.released.wait(10)
        return self.answer is not None


@contextmanager
def socks_proxy(proxy: ProxyServer) -> Iterator[ProxyServer]:
    """Run a SOCKS5 proxy until the block ends."""
    with _running(proxy, _speak_socks, None):
        yield proxy


@contextmanager
def http_proxy(proxy: ProxyServer, tls: ssl.SSLContext | None = None) -> Iterator[ProxyServer]:
    """Run an HTTP proxy until the block ends, over TLS if there is a certificate."""
    with _running(proxy, _speak_http, tls):
        yield proxy


@contextmanager
def _running(
    proxy: ProxyServer, speak: Callable[[socket.socket, ProxyServer], None], tls: ssl.SSLContext | None
) -> Iterator[None]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            proxy.connections += 1
            # A client that has had enough hangs up, in the middle of a handshake too.
            with suppress(OSError), tls.wrap_socket(self.request, server_side=True) if tls else self.request as client:
                speak(client, proxy)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    proxy.place = f"127.0.0.1:{server.server_address[1]}"
    with running(server, proxy.released):
        yield


def _speak_socks(client: socket.socket, proxy: ProxyServer) -> None:
    methods = _exactly(client, _exactly(client, 2)[1])
    if proxy.refuses(client):
        return
    wanted = 2 if proxy.login else 0
    client.sendall(bytes([5, wanted if wanted in methods else 255]))
    if wanted not in methods or (proxy.login and not _logs_in(client, proxy.login)):
        return
    kind = _exactly(client, 4)[3]
    if kind == 3:
        host = _exactly(client, _exactly(client, 1)[0]).decode()
    else:
        packed = _exactly(client, 4 if kind == 1 else 16)
        host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, packed)
    port = int.from_bytes(_exactly(client, 2))
    proxy.targets.append(f"{host}:{port}")
    try:
        server = socket.create_connection((host, port), timeout=10)
    except OSError:
        client.sendall(b"\5\5\0\1\0\0\0\0\0\0")
        return
    client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
    with server:
        _pass_on(client, server)


def _logs_in(client: socket.socket, login: tuple[str, str]) -> bool:
    user = _exactly(client, _exactly(client, 2)[1]).decode()
    password = _exactly(client, _exactly(client, 1)[0]).decode()
    client.sendall(bytes([1, (user, password) != login]))
    return (user, password) == login


def _speak_http(client: socket.socket, proxy: ProxyServer) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _exactly(client, 1)
        if not head[:1].isalpha():
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
    method, target = head.decode("latin-1").split(" ")[:2]
    proxy.targets.append(target if method == "CONNECT" else target.split("/")[2])
    if proxy.refuses(client):
        return
    known = base64.b64encode(":".join(proxy.login or ()).encode())
    if proxy.login and b"Basic " + known not in head:
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return
    host, _, port = proxy.targets[-1].rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as server:
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            server.sendall(head)
        _pass_on(client, server)


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("the client hung up")
        data += piece
    return data


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    while True:
        # `select` does not see the bytes that TLS has read already.
        waiting = isinstance(client, ssl.SSLSocket) and client.pending()
        ready = [client] if waiting else select.select([client, server], [], [], 10)[0]
        if not ready:
            return
        for one in ready:
            data = one.recv(65536)
            if not data:
                return
            (server if one is client else client).sendall(data)
