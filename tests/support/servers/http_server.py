"""Base classes of the servers in tests."""

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """A server with a thread for each connection, which is silent where a client hangs up."""

    def handle_error(self, *client: Any) -> None:
        """Report all other errors of a handler."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*client)


@contextmanager
def running(server: socketserver.BaseServer, released: threading.Event | None = None) -> Iterator[None]:
    """Serve until the block ends; then handlers that wait for `released` go on, and are waited for."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        if released:
            released.set()
        server.shutdown()
        server.server_close()
        thread.join()
