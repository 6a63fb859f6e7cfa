"""An SMTP server on this machine, which keeps the messages that it gets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.support.servers.http_server import running


@dataclass
class Mailbox:
    """The messages that a server got, and its port."""

    messages: list[EmailMessage] = field(default_factory=list)
    port: int = 0


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Take messages by SMTP (RFC 5321), without TLS and passwords, until the block ends."""
    mailbox = Mailbox()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mail\r\n")
            for line in self.rfile:
                command = line[:4].upper()
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mailbox.messages.append(self.read_message())
                self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")

        def read_message(self) -> EmailMessage:
            lines = iter(self.rfile.readline, b".\r\n")
            return message_from_bytes(b"".join(line.removeprefix(b".") for line in lines), policy=policy.default)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        mailbox.port = server.server_address[1]
        with running(server):
            yield mailbox
