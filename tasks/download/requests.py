"""Ask a server for a file: redirects followed with care, and no answer waited for without end."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

import httpx

from tasks.download.responses import FetchError, TransientError

_MAX_REDIRECTS = 20


@contextmanager
def open_response(
    client: httpx.Client, url: str, headers: Mapping[str, str], longest: float
) -> Iterator[httpx.Response]:
    """Ask for a file; its bytes are still to be read from the answer when the block begins.

    Redirects are followed here: httpx would read their bodies into memory, however long they are.

    Args:
        client: One that follows no redirects and keeps no connection.
        url: Where the file is.
        headers: To send along.
        longest: Seconds within which a server must begin to answer.

    Raises:
        Passing: The server does not answer in time.
        Unreachable: It redirects for ever, from https to http, or to what is no website.
    """
    request = client.build_request("GET", url, headers=dict(headers))
    for _ in range(_MAX_REDIRECTS):
        response = _send(client, request, longest)
        try:
            if response.next_request is None:
                yield response
                return
        finally:
            response.close()
        request = _onward(request, response.next_request)
    raise FetchError(f"the server redirects more than {_MAX_REDIRECTS} times")


def _onward(request: httpx.Request, onward: httpx.Request) -> httpx.Request:
    if onward.url.scheme not in {"http", "https"}:
        raise FetchError(f"the server redirects to {onward.url.scheme[:20]}, which is no website")
    if request.url.scheme == "https" and onward.url.scheme == "http":
        raise FetchError("the server redirects from https to http, where anybody on the way could change the file")
    return onward


def _send(client: httpx.Client, request: httpx.Request, longest: float) -> httpx.Response:
    """Send a request; httpx itself waits for ever where a byte of the answer comes now and then."""
    hangup = _HangUp()
    request.extensions = {**request.extensions, "trace": hangup.trace}
    timer = Timer(longest, hangup)
    timer.daemon = True
    timer.start()
    try:
        return client.send(request, stream=True)
    except Exception as exc:
        # httpcore leaves the connection to a proxy open that makes none to the server.
        hangup.close()
        if hangup.done and isinstance(exc, httpx.TransportError):
            raise TransientError(f"the server did not answer within {longest:g} s") from exc
        raise
    finally:
        timer.cancel()


class _HangUp:
    """Ends the connection of a request, from another thread."""

    def __init__(self) -> None:
        self.done = False
        self._stream: Any = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn from httpx which connection it is."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = info["return_value"]

    def close(self) -> None:
        """Close the connection, from the thread that uses it."""
        if self._stream:
            self._stream.close()

    def __call__(self) -> None:
        """End it; whoever reads from it gets an error at once."""
        connection = self._stream.get_extra_info("socket") if self._stream else None
        if connection is not None:
            self.done = True
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
