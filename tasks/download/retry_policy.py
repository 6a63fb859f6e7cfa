"""Errors of a transfer, and the policy by which it is retried."""

from dataclasses import dataclass


class FetchError(Exception):
    """A file could not be fetched, and a further attempt would not help.

    Args:
        reason: The cause, in a few words.
        remedy: The remedy, as a sentence that "and run again" ends.
    """

    def __init__(self, reason: str, remedy: str = "Check the URL and the connection") -> None:
        super().__init__(reason)
        self.remedy = remedy


class TransientError(Exception):
    """An attempt failed and a further one may succeed; `delay` is how many seconds the server asks us to wait."""

    def __init__(self, reason: str, delay: float = 0.0) -> None:
        super().__init__(reason)
        self.delay = delay


@dataclass(frozen=True)
class RetryPolicy:
    """How long to keep trying."""

    max_attempts: int = 6  #: Attempts in a row that bring nothing new.
    first_delay: float = 1.0  #: Seconds before the second attempt; each later delay is twice as long as the one before.
    max_delay: float = 30.0  #: Seconds that a delay grows to.
    #: Seconds that a server may ask us to wait (Retry-After); a longer wait is an error.
    max_retry_after: float = 300.0
    #: Seconds without a byte after which a connection counts as broken, and within which a server must begin to answer.
    timeout: float = 30.0
    min_rate: float = 1000.0  #: Bytes a second that must come on average over any `timeout` seconds.
    #: Seconds for all attempts together; the bytes that have come by then are kept for the next run.
    max_seconds: float = 12 * 3600.0

    @property
    def min_bytes(self) -> float:
        """Bytes that must come in `timeout` seconds, or in an attempt that counts as having brought something."""
        return self.min_rate * self.timeout
