"""The parts that test servers share."""

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """A thread for each connection; nothing is said where a client has hung up."""

    def handle_error(self, *client: Any) -> None:
        """Tell of anything else that a handler raises."""
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
