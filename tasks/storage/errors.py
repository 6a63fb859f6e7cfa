"""The error that names what is damaged, so that whoever can make it again does."""

from typing import Self

from tasks.errors import StoreError
from tasks.paths import AnyPath


class DamagedError(StoreError):
    """A file or folder that the stages can make again is damaged or gone.

    Args:
        path: It.
        sentences: What is wrong, and the remedy where nobody makes it again.
    """

    def __init__(self, path: AnyPath, sentences: str) -> None:
        super().__init__(sentences)
        self.path = path

    def __reduce__(self) -> tuple[type[Self], tuple[AnyPath, str]]:
        """As it is sent from one process to another."""
        return type(self), (self.path, str(self))
