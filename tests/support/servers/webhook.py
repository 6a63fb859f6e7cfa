"""A webhook on this machine: keeps what is posted to it, and answers as a test wants."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.servers.http_server import Server, running

#: The bytes of an answer in pieces, from an event that is set when the server stops.
Answer = Callable[[threading.Event], Iterable[bytes]]

#: The part of the URL that nobody may learn.
SECRET = "T0K3N-of-a-chat-service"  # noqa: S105 (of this server)


def status(line: str, headers: str = "") -> Answer:
    """An answer of a status line such as `500 Internal Server Error`, of headers, and no body."""
    return lambda _: [f"HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n".encode()]


OK = status("200 OK")


def never(released: threading.Event) -> Iterator[bytes]:
    """No answer."""
    released.wait(100)
    yield b""


def dripping(released: threading.Event) -> Iterator[bytes]:
    """An answer whose headers never end, a byte now and then."""
    yield b"HTTP/1.1 200 OK\r\nX-Header: "
    while not released.wait(0.05):
        yield b"x"


@dataclass
class Webhook:
    """A webhook: how it answers, and what was posted to it."""

    answer: Answer
    posts: list[dict[str, Any]] = field(default_factory=list)  #: The JSON of each request.
    paths: list[str] = field(default_factory=list)  #: The path of each request.
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def webhook(answer: Answer = OK) -> Iterator[Webhook]:
    """Serve a webhook until the block ends."""
    hook = Webhook(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            hook.paths.append(self.path)
            hook.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            # A client that has had enough hangs up.
            with suppress(OSError):
                for piece in hook.answer(hook.released):
                    self.wfile.write(piece)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Log nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/services/{SECRET}?key={SECRET}"
    with running(server, hook.released):
        yield hook
