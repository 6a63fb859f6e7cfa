"""How a plain function tells of its progress without knowing who listens, and the live line that listens."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from tqdm import tqdm

#: Seconds between two reports, where a live line shows progress and where a log takes a line for each.
LIVE_INTERVAL, LOG_INTERVAL = 1.0, 60.0


class Progress(Protocol):
    """What a long-running function is given to report to."""

    def start(self, total: int, unit: str) -> None:
        """Begin: `total` units of work are ahead (photos, bytes as "B", steps); 0 where nobody knows how many."""

    def advance(self, count: int) -> None:
        """`count` more units are done."""

    def tell(self, line: str) -> None:
        """Say something that stays to be read, such as a result on the way."""


class Silence:
    """Progress that nobody listens to."""

    def start(self, total: int, unit: str) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def tell(self, line: str) -> None:
        """Do nothing."""


class LiveLine:
    """Progress as one live line on a terminal; without a terminal, as a plain line a minute.

    Args:
        stage: The name at the start of the line.
        tell: Called at most once a second with the line and the percentage done.
    """

    def __init__(self, stage: str, tell: Callable[[str, int], None]) -> None:
        self._stage, self._tell = stage, tell
        self._bar: tqdm[Any] | None = None
        self._told = time.monotonic()
        self._live = sys.stderr.isatty()

    def start(self, total: int, unit: str) -> None:
        """Begin a line; one that was begun before is cleared."""
        self.close()
        self._bar = tqdm(
            total=total,
            desc=self._stage,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr if self._live else _Nowhere(),
        )

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""
        if self._bar is None:
            return
        self._bar.update(count)
        now = time.monotonic()
        if now - self._told < (LIVE_INTERVAL if self._live else LOG_INTERVAL):
            return
        self._told = now
        line = str(self._bar)
        if not self._live:
            # Standard error is for what is wrong: cron mails it.
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        self._tell(line, min(round(100 * self._bar.n / self._bar.total), 100) if self._bar.total else 0)

    def tell(self, line: str) -> None:
        """Write a line that stays, above the live one."""
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


class _Nowhere:
    """A stream that swallows the live line where there is no terminal; tqdm still counts."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
