"""How a plain function tells of its progress without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """What a long-running function is given to report to."""

    def start(self, total: int, unit: str) -> None:
        """Begin: `total` units of work are ahead (photos, bytes, steps)."""

    def advance(self, count: int) -> None:
        """`count` more units are done."""


class Silence:
    """Progress that nobody listens to."""

    def start(self, total: int, unit: str) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""
