"""Progress of long-running functions: the protocol that they report to, and the live line that shows it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Protocol, Self

from tqdm import tqdm

from tasks.events import emit

#: Seconds between two calls of the listener, and between two lines of a log, which has no live line.
TELL_INTERVAL, LOG_INTERVAL = 1.0, 60.0


class Progress(Protocol):
    """Receives the progress of a long-running function."""

    def start(self, total: int, unit: str) -> None:
        """Start `total` units of work, such as photos or steps; "B" is bytes. A total of 0 is unknown."""

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""

    def tell(self, line: str) -> None:
        """Write a line that stays, such as an intermediate result."""

    def preparing(self, what: str) -> AbstractContextManager[None]:
        """Count the block as setup, which work waits for: "imports", "network", "cluster".

        Blocks may repeat and nest; each second counts once, for the innermost. Use them in the thread that called the
        function: setup in other threads delays no work.
        """


class NullProgress:
    """Ignores progress."""

    def start(self, total: int, unit: str) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def tell(self, line: str) -> None:
        """Do nothing."""

    def preparing(self, what: str) -> AbstractContextManager[None]:  # noqa: ARG002 (ignored)
        """Do nothing."""
        return nullcontext()


class SetupTimer:
    """Measures the seconds of setup by what was prepared."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by name, to the millisecond."""
        return {what: round(seconds, 3) for what, seconds in self._seconds.items()}

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Time a block; the time of an enclosing block pauses."""
        self._count()
        self._open.append(what)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    def _count(self) -> None:
        """Add the time since the last call to the innermost block."""
        now = time.monotonic()
        if self._open:
            self._seconds[self._open[-1]] = self._seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


class LiveLine:
    """Shows progress as one live line on a terminal, else as a plain line a minute.

    Args:
        stage: Name at the start of the line.
        tell: Listener, called with the line and the percentage at the start, at most once a second, and at the end; by
            default there is none.
    """

    def __init__(self, stage: str, tell: Callable[[str, int], None] = lambda *_: None) -> None:
        self._stage, self._tell = stage, tell
        self._bar: tqdm[Any] | None = None
        self._told = self._logged = time.monotonic()
        self._live = sys.stderr.isatty()
        self._preparations = SetupTimer()

    @property
    def startup(self) -> Mapping[str, float]:
        """Seconds of setup by what was prepared."""
        return self._preparations.seconds

    def start(self, total: int, unit: str) -> None:
        """Start a line, in place of an earlier one."""
        self.close()
        self._bar = tqdm(
            total=total,
            desc=self._stage,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            leave=False,
            dynamic_ncols=True,
            file=self._stream(),
        )
        self._report()

    def advance(self, count: int) -> None:
        """Count `count` more units as done."""
        if self._bar is None:
            return
        self._bar.update(count)
        now = time.monotonic()
        if now - self._told >= TELL_INTERVAL:
            self._report()
        if not self._live and now - self._logged >= LOG_INTERVAL:
            self._logged = now
            # Not on standard error, which is for errors: cron mails it.
            emit("progress", str(self._bar), stage=self._stage, done=self._bar.n, total=self._bar.total)

    def _report(self) -> None:
        """Call the listener."""
        bar = self._bar
        if bar is not None:
            self._told = time.monotonic()
            self._tell(str(bar), min(round(100 * bar.n / bar.total), 100) if bar.total else 0)

    def tell(self, line: str) -> None:
        """Write a line that stays, above the live one."""
        emit("told", line, stage=self._stage)

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Show the name of the setup, and measure its seconds."""
        own = self._bar is None
        if self._bar is None:
            self._bar = tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True, file=self._stream())
        bar = self._bar
        before = bar.desc
        bar.set_description_str(f"{self._stage}: preparing the {what}")
        if own:
            self._tell(bar.desc, 0)
        try:
            with self._preparations.preparing(what):
                yield
        finally:
            # The block may have started a line of its own.
            if bar is self._bar:
                bar.set_description_str(before)
                if own:
                    self.close()

    def _stream(self) -> Any:
        return sys.stderr if self._live else _Nowhere()

    def close(self) -> None:
        """Clear the line."""
        if self._bar is not None:
            if self._bar.n:
                self._report()
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


class _Nowhere:
    """A stream that discards the live line where there is no terminal; tqdm still counts."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
