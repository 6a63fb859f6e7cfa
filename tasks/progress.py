"""How a plain function tells of its progress without knowing who listens, and the live line that listens."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Protocol, Self

from tqdm import tqdm

from tasks.events import emit

#: Seconds between two reports to whoever listens, and between two lines of a log, where there is no live line.
TELL_INTERVAL, LOG_INTERVAL = 1.0, 60.0


class Progress(Protocol):
    """What a long-running function is given to report to."""

    def start(self, total: int, unit: str) -> None:
        """Begin: `total` units of work are ahead (photos, bytes as "B", steps); 0 where nobody knows how many."""

    def advance(self, count: int) -> None:
        """`count` more units are done."""

    def tell(self, line: str) -> None:
        """Say something that stays to be read, such as a result on the way."""

    def preparing(self, what: str) -> AbstractContextManager[None]:
        """Tell that the block is no work itself, but what work waits for: "imports", "network", "cluster".

        Blocks may repeat and stand in each other; each second counts once, for the innermost. They belong to the thread
        that the work is asked of: what is prepared beside work costs it nothing.
        """


class NullProgress:
    """Progress that nobody listens to."""

    def start(self, total: int, unit: str) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def tell(self, line: str) -> None:
        """Do nothing."""

    def preparing(self, what: str) -> AbstractContextManager[None]:  # noqa: ARG002 (nobody listens)
        """Do nothing."""
        return nullcontext()


class SetupTimer:
    """Seconds that went into what is no work, by what was prepared."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each, to the millisecond."""
        return {what: round(seconds, 3) for what, seconds in self._seconds.items()}

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Time a block; the clock of a block around it rests meanwhile."""
        self._count()
        self._open.append(what)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    def _count(self) -> None:
        """Give the innermost block the time since the last look at the clock."""
        now = time.monotonic()
        if self._open:
            self._seconds[self._open[-1]] = self._seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


class LiveLine:
    """Progress as one live line on a terminal; without a terminal, as a plain line a minute.

    Args:
        stage: The name at the start of the line.
        tell: Called at the start, at most once a second, and at the end, with the line and the percentage done.
    """

    def __init__(self, stage: str, tell: Callable[[str, int], None]) -> None:
        self._stage, self._tell = stage, tell
        self._bar: tqdm[Any] | None = None
        self._told = self._logged = time.monotonic()
        self._live = sys.stderr.isatty()
        self._preparations = SetupTimer()

    @property
    def startup(self) -> Mapping[str, float]:
        """Seconds of the stage that were no work, by what was prepared."""
        return self._preparations.seconds

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
            # Standard error is for what is wrong: cron mails it.
            emit("progress", str(self._bar), stage=self._stage, done=self._bar.n, total=self._bar.total)

    def _report(self) -> None:
        """Tell whoever listens how it stands."""
        bar = self._bar
        if bar is not None:
            self._told = time.monotonic()
            self._tell(str(bar), min(round(100 * bar.n / bar.total), 100) if bar.total else 0)

    def tell(self, line: str) -> None:
        """Write a line that stays, above the live one."""
        emit("told", line, stage=self._stage)

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Show what is being prepared, and add up the seconds."""
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
            # The block may have begun a line of its own.
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
    """A stream that swallows the live line where there is no terminal; tqdm still counts."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
