"""What test servers of HTTP have in common."""

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """A thread for each connection; nothing is said where a client has hung up."""

    def handle_error(self, *client: Any) -> None:
        """Tell of anything else that a handler raises."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*client)
