"""Progress for the tests of functions that tell of theirs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Progress that remembers the last beginning and adds up what was done since.

    Args:
        total: What was ahead; -1 before the first beginning.
        unit: Of what.
        done: How much of it is done.
        beginnings: How often something was begun.
        lines: What was told.
        prepared: What was prepared, in the order in which it was done.
    """

    total: int = -1
    unit: str = ""
    done: int = 0
    beginnings: int = 0
    lines: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)

    def start(self, total: int, unit: str) -> None:
        """Begin anew."""
        self.total, self.unit, self.done = total, unit, 0
        self.beginnings += 1

    def advance(self, count: int) -> None:
        """Add up; nothing is ever undone."""
        assert count >= 0
        self.done += count

    def tell(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        """Keep what was prepared."""
        yield
        self.prepared.append(what)
