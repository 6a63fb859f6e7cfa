"""An HTTP server of one file on this machine, with faults on request."""

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.servers.http_server import Server, running


@dataclass
class Fault:
    """Deviations of the response to one request from that of a well-behaved server."""

    status: int | None = None  #: Status of an error in place of the file.
    headers: dict[str, str] = field(default_factory=dict)  #: Headers of the error.
    cut_after: int | None = None  #: Bytes of the body after which the connection is closed.
    ignore_range: bool = False  #: Send the whole file for a range too.
    ignore_if_range: bool = False  #: Send the range of another version too.
    stall: bool = False  #: Send the headers and then nothing.
    piece: int | None = None  #: Most bytes of a range that are sent.
    #: Headers that replace the true ones; None leaves one out.
    pretend: dict[str, str | None] = field(default_factory=dict)
    more: bytes = b""  #: Bytes that follow the body.
    #: Makes the bytes of the whole response, in pieces, from an event that is set when the server stops.
    raw: Callable[[threading.Event], Iterable[bytes]] | None = None


@dataclass
class FileServer:
    """A server of one file: the version of the file, the next faults, and the headers of all requests."""

    content: bytes  #: The bytes of the file.
    etag: str | None = None  #: The header ETag; None leaves it out.
    last_modified: str | None = None  #: The header Last-Modified; None leaves it out.
    faults: list[Fault] = field(default_factory=list)  #: Faults of the next responses; later ones have none.
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def sha256(self) -> str:
        """Hash of the content, in hex digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def base(self) -> str:
        """Address of the folder of the file, with a slash at its end."""
        return self.url.rpartition("/")[0] + "/"

    def change(self, content: bytes, etag: str | None) -> None:
        """Replace the file by another version."""
        self.content, self.etag = content, etag


@contextmanager
def serving(files: FileServer, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """Serve until the block ends, over https if there is a certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, files)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Log nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    files.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/photos.tgz"
    with running(server, files.released):
        yield files


def _answer(handler: BaseHTTPRequestHandler, files: FileServer) -> None:
    asked = dict(handler.headers.items())
    files.requests.append(asked)
    fault = files.faults.pop(0) if files.faults else Fault()
    if fault.raw:
        handler.close_connection = True
        # A client that has had enough hangs up.
        with suppress(OSError):
            for piece in fault.raw(files.released):
                handler.wfile.write(piece)
        return
    status, headers, body = _response(asked, files, fault)
    if status != 304:
        headers = {**headers, "Content-Length": str(len(body))}
    handler.send_response(status)
    for name, value in {**headers, **fault.pretend}.items():
        if value is not None:
            handler.send_header(name, value)
    handler.end_headers()
    if fault.stall:
        files.released.wait(10)
        body = b""
    if fault.cut_after is not None or fault.stall or fault.pretend or fault.more:
        body = body[: fault.cut_after] + fault.more
        handler.close_connection = True
    with suppress(OSError):
        handler.wfile.write(body)


def _response(asked: dict[str, str], files: FileServer, fault: Fault) -> tuple[int, dict[str, str], bytes]:
    if fault.status:
        return fault.status, fault.headers, b"no"
    named = {"ETag": files.etag, "Last-Modified": files.last_modified}
    headers = {name: value for name, value in named.items() if value}
    if files.etag and asked.get("If-None-Match") == files.etag:
        return 304, headers, b""
    if files.last_modified and asked.get("If-Modified-Since") == files.last_modified:
        return 304, headers, b""
    wanted = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", ""))
    same = asked.get("If-Range") in headers.values() or fault.ignore_if_range
    if not wanted or fault.ignore_range or not same:
        return 200, headers, files.content
    start, total = int(wanted[1]), len(files.content)
    if start >= total:
        return 416, {"Content-Range": f"bytes */{total}"}, b""
    end = min(total, start + (fault.piece or total))
    return 206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{total}"}, files.content[start:end]
