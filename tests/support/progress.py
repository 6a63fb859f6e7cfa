"""Progress that records its calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.progress import NullProgress


@dataclass
class Tally:
    """Progress that records the last start, adds up advances, and keeps lines."""

    total: int = -1  #: Items of the last start; -1 before the first.
    unit: str = ""  #: Unit of the items.
    done: int = 0  #: Items done since the last start.
    beginnings: int = 0  #: Number of starts.
    lines: list[str] = field(default_factory=list)  #: Lines of `tell`.
    prepared: list[str] = field(default_factory=list)  #: Names of finished preparations.

    def start(self, total: int, unit: str) -> None:
        self.total, self.unit, self.done = total, unit, 0
        self.beginnings += 1

    def advance(self, count: int) -> None:
        assert count >= 0
        self.done += count

    def tell(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        yield
        self.prepared.append(what)


class Advances(NullProgress):
    """Progress that records each advance."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def advance(self, count: int) -> None:
        self.counts.append(count)
