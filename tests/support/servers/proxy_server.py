"""Proxies on this machine: SOCKS5 (RFC 1928 and 1929), and HTTP with `CONNECT` and whole URLs."""

import base64
import io
import ipaddress
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.servers.http_server import running


@dataclass
class ProxyServer:
    """A proxy: its login, its fixed answer, and the requests that it received."""

    login: tuple[str, str] | None = None  #: Required user and password.
    #: Bytes that answer every request, which is then not passed on; empty bytes leave the client waiting.
    answer: bytes | None = None
    targets: list[str] = field(default_factory=list)  #: `host:port` of each request.
    connections: int = 0  #: Number of connections.
    place: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def refuses(self, client: socket.socket) -> bool:
        """Send the fixed answer; returns whether there is one."""
        if self.answer:
            client.sendall(self.answer)
        elif self.answer is not None:
            self.released.wait(10)
        return self.answer is not None


@contextmanager
def proxying(proxy: ProxyServer, tls: ssl.SSLContext | None = None, *, socks: bool = False) -> Iterator[None]:
    """Run an HTTP or SOCKS5 proxy until the block ends, over TLS if there is a certificate."""
    speak = _speak_socks if socks else _speak_http

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            proxy.connections += 1
            # A client may close the connection at any time, in the middle of a handshake too.
            with (
                suppress(OSError, IndexError, ValueError),
                tls.wrap_socket(self.request, server_side=True) if tls else self.request as client,
                client.makefile("rb") as reader,
            ):
                speak(client, reader, proxy)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    proxy.place = f"127.0.0.1:{server.server_address[1]}"
    with running(server, proxy.released):
        yield


def _speak_socks(client: socket.socket, reader: io.BufferedReader, proxy: ProxyServer) -> None:
    methods = reader.read(reader.read(2)[1])
    if proxy.refuses(client):
        return
    wanted = 2 if proxy.login else 0
    client.sendall(bytes([5, wanted if wanted in methods else 255]))
    if wanted not in methods or (proxy.login and not _logs_in(client, reader, proxy.login)):
        return
    kind = reader.read(4)[3]
    if kind == 3:
        host = reader.read(reader.read(1)[0]).decode()
    else:
        host = str(ipaddress.ip_address(reader.read(4 if kind == 1 else 16)))
    proxy.targets.append(f"{host}:{int.from_bytes(reader.read(2))}")
    try:
        _pass_on(client, proxy.targets[-1], b"\5\0\0\1\0\0\0\0\0\0", b"")
    except ConnectionRefusedError:
        client.sendall(b"\5\5\0\1\0\0\0\0\0\0")


def _logs_in(client: socket.socket, reader: io.BufferedReader, login: tuple[str, str]) -> bool:
    given = reader.read(reader.read(2)[1]).decode(), reader.read(reader.read(1)[0]).decode()
    client.sendall(bytes([1, given != login]))
    return given == login


def _speak_http(client: socket.socket, reader: io.BufferedReader, proxy: ProxyServer) -> None:
    if not reader.peek(1)[:1].isalpha():
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return
    head = b""
    while (line := reader.readline()).strip():
        head += line
    method, target = head.decode("latin-1").split(" ")[:2]
    proxy.targets.append(target if method == "CONNECT" else target.split("/")[2])
    if proxy.refuses(client):
        return
    known = base64.b64encode(":".join(proxy.login or ()).encode())
    if proxy.login and b"Basic " + known not in head:
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    elif method == "CONNECT":
        _pass_on(client, proxy.targets[-1], b"HTTP/1.1 200 OK\r\n\r\n", b"")
    else:
        _pass_on(client, proxy.targets[-1], b"", head + b"\r\n")


def _pass_on(client: socket.socket, target: str, answer: bytes, request: bytes) -> None:
    """Connect to the target, send both sides their first bytes, and then carry bytes until either side ends."""
    host, _, port = target.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as server:
        client.sendall(answer)
        server.sendall(request)
        while True:
            # `select` does not see the bytes that TLS has read already.
            waiting = isinstance(client, ssl.SSLSocket) and client.pending()
            ready = [client] if waiting else select.select([client, server], [], [], 10)[0]
            for one in ready:
                data = one.recv(65536)
                if not data:
                    return
                (server if one is client else client).sendall(data)
            if not ready:
                return
