"""A gateway between a test and its object store: counts requests, refuses some, and breaks connections."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tests.support.servers.http_server import Server, running

_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'
#: Headers of one connection, which are not passed on.
_OF_CONNECTION = {"connection", "expect", "keep-alive", "transfer-encoding"}


class Request(NamedTuple):
    """A request of a client."""

    kind: str  #: `GET`, `HEAD`, `PUT`, `DELETE`, `POST`, or `LIST` for a GET of no object.
    key: str  #: Name of the object in its bucket; of a LIST the prefix of the names.


class Outcome(Enum):
    """Outcome of a request."""

    #: The store gets it, and its answer comes back.
    PASSED = auto()
    #: It waits; its outcome is decided again after a moment.
    HELD = auto()
    #: It never gets there; the answer is that of a busy store.
    REFUSED = auto()
    #: It never gets there; the answer is that access is denied.
    FORBIDDEN = auto()
    #: It never gets there; the connection is closed.
    HUNG_UP = auto()
    #: The store gets it; the connection is closed in place of its answer.
    ANSWER_LOST = auto()
    #: The store gets it; the connection is closed in the middle of its answer.
    CUT_OFF = auto()


class Gateway:
    """A server that passes HTTP requests on to an object store, each connection on one of its own.

    Args:
        port: Port of the store on this machine.
    """

    def __init__(self, port: int) -> None:
        self.seen: list[Request] = []
        self._port = port
        self._outcome: Callable[[Request], Outcome] = lambda _: Outcome.PASSED
        self._deciding = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def decide(self, outcome: Callable[[Request], Outcome]) -> None:
        """Decide on the outcome of each request from now on, one at a time."""
        self._outcome = outcome

    def refuse(self, share: float, seed: int = 0) -> None:
        """Refuse a share of all requests from now on, 0 to 1."""
        dice = random.Random(seed)  # noqa: S311 (the same ones each time)
        self.decide(lambda _: Outcome.REFUSED if dice.random() < share else Outcome.PASSED)

    def spoil(self, kind: str, outcome: Outcome, times: int = 1) -> None:
        """Give this outcome to the next requests of a kind; all others pass."""
        left = [outcome] * times
        self.decide(lambda request: left.pop() if left and request.kind == kind else Outcome.PASSED)

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the requests of each kind in the block; the counts are there when it ends."""
        before, counted = len(self.seen), Counter[str]()
        yield counted
        counted.update(request.kind for request in self.seen[before:])

    def fate_of(self, request: Request) -> Outcome:
        """Record a request, and return its outcome."""
        with self._deciding:
            self.seen.append(request)
            outcome = self._outcome(request)
        while outcome is Outcome.HELD:
            time.sleep(0.05)
            with self._deciding:
                outcome = self._outcome(request)
        return outcome

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=60)

    @contextmanager
    def serving(self) -> Iterator["Gateway"]:
        """Serve until the block ends."""
        with running(self._server):
            yield self


class _Server(Server):
    """A server whose connections know their gateway."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], gateway: Gateway) -> None:
        self.gateway = gateway
        super().__init__(address, _Connection)


class _Connection(BaseHTTPRequestHandler):
    """The connection of a client, with one of its own to the store."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._store = self.server.gateway.connection()

    def finish(self) -> None:
        self._store.close()
        super().finish()

    def handle_any(self) -> None:
        body = self._body()
        outcome = self.server.gateway.fate_of(self._request())
        if outcome is Outcome.HUNG_UP:
            self.close_connection = True
        elif outcome is Outcome.REFUSED:
            self._refuse(503, "SlowDown", "Please reduce your request rate.")
        elif outcome is Outcome.FORBIDDEN:
            self._refuse(403, "AccessDenied", "Access Denied.")
        else:
            self._pass_on(body, outcome)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_any  # noqa: N815 (names of the library)

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _request(self) -> Request:
        address = urlsplit(self.path)
        _, _, key = unquote(address.path).lstrip("/").partition("/")
        if self.command == "GET" and not key:
            asked = dict(part.partition("=")[::2] for part in address.query.split("&"))
            return Request("LIST", unquote(asked.get("prefix", "")))
        return Request(self.command, key)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self._read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self._line().split(b";")[0], 16):
            chunks.append(self._read(size))
            self._line()
        self._line()
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        """Read so many bytes; the store gets no part of the request of a client that was killed meanwhile."""
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError
        return data

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        return line

    def _pass_on(self, body: bytes, outcome: Outcome) -> None:
        try:
            answer, content = self._ask(body)
        except (OSError, HTTPException):
            # The store is not there: as without a gateway, the connection ends.
            self._store.close()
            self.close_connection = True
            return
        if outcome is Outcome.ANSWER_LOST:
            self.close_connection = True
            return
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in {*_OF_CONNECTION, "content-length"}]
        if self.command == "HEAD":
            self._answer(answer.status, [*headers, ("Content-Length", answer.getheader("Content-Length", "0"))], b"")
        else:
            self._answer(answer.status, headers, content, cut=outcome is Outcome.CUT_OFF)

    def _ask(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        self._store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {*_OF_CONNECTION, "content-length"}:
                self._store.putheader(name, value)
        if body or self.command in {"PUT", "POST"}:
            self._store.putheader("Content-Length", str(len(body)))
        self._store.endheaders(body or None)
        answer = self._store.getresponse()
        return answer, answer.read()

    def _refuse(self, status: int, code: str, words: str) -> None:
        self._answer(status, [("Content-Type", "application/xml")], _ERROR.format(code, words).encode())

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.wfile.flush()
        self.close_connection |= cut
