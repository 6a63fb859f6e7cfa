"""How long a transfer may take."""

import time
from dataclasses import dataclass

from tasks.download.responses import FetchError, TransientError


@dataclass(frozen=True)
class RetryPolicy:
    """How long to keep trying.

    Args:
        attempts: Give up after so many attempts in a row that brought nothing new.
        first_pause: Seconds before the second attempt; each later pause is twice as long as the one before.
        longest_pause: Seconds that a pause grows to.
        longest_request: Seconds that a server may ask us to wait (Retry-After); where it asks for more, give up.
        timeout: Seconds without a byte after which a connection counts as broken, and within which a server must have
            begun to answer.
        slowest: Bytes a second that must come on average over any `timeout` seconds.
        longest: Seconds for all attempts together; what has come by then is kept for the next run.
    """

    attempts: int = 6
    first_pause: float = 1.0
    longest_pause: float = 30.0
    longest_request: float = 300.0
    timeout: float = 30.0
    slowest: float = 1000.0
    longest: float = 12 * 3600.0

    @property
    def least(self) -> float:
        """Bytes that must come in `timeout` seconds, or in an attempt that counts as having brought something."""
        return self.slowest * self.timeout


class RateMonitor:
    """Watches over the time of a transfer.

    Args:
        patience: How long it may take.
    """

    def __init__(self, patience: RetryPolicy) -> None:
        self._patience = patience
        self._started = self._since = time.monotonic()
        self._came = 0

    @property
    def is_over(self) -> bool:
        """Whether all attempts together have taken as long as they may."""
        return time.monotonic() - self._started > self._patience.longest

    def begin(self) -> None:
        """An answer's bytes begin to come."""
        self._since, self._came = time.monotonic(), 0

    def count(self, count: int) -> None:
        """So many bytes came.

        Raises:
            Passing: They come too slowly.
            Unreachable: The time is over.
        """
        self._came += count
        now = time.monotonic()
        if now - self._since > self._patience.timeout:
            if self._came < self._patience.least:
                raise TransientError(f"the server sent {self._came:,} bytes in {now - self._since:.0f} s")
            self._since, self._came = now, 0
        if self.is_over:
            raise FetchError(f"it was not whole after {self._patience.longest / 3600:.3g} hours")
