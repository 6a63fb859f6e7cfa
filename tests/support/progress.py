"""Progress that records its calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Progress that records the last start, adds up advances, and keeps lines.

    Args:
        total: Items of the last start; -1 before the first.
        unit: Unit of the items.
        done: Items done since the last start.
        beginnings: Number of starts.
        lines: Lines of `tell`.
        prepared: Names of finished preparations.
    """

    total: int = -1
    unit: str = ""
    done: int = 0
    beginnings: int = 0
    lines: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

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
