"""Errors of the storage."""

from typing import Self

from tasks.errors import StoreError
from tasks.paths import AnyPath


class DamagedError(StoreError):
    """A file or folder that the stages can make again is damaged or gone.

    Args:
        path: The file or folder.
        sentences: The fault, and the remedy if nothing makes it again.
    """

    def __init__(self, path: AnyPath, sentences: str) -> None:
        super().__init__(sentences)
        self.path = path

    def __reduce__(self) -> tuple[type[Self], tuple[AnyPath, str]]:
        """As it is sent from one process to another."""
        return type(self), (self.path, str(self))


def in_use(path: AnyPath) -> StoreError:
    """Error for a folder that cannot be removed because a process works in it."""
    return StoreError(f"A process works in {path}. Wait until it has ended, or stop it; then forget it again.")


def not_below(path: AnyPath, root: AnyPath) -> StoreError:
    """Error for a path that is not in the data root."""
    return StoreError(f"{path} is not below the data root {root}, so it is left alone.")


def run_under_way(root: AnyPath) -> StoreError:
    """Error for a data root that another process uses."""
    return StoreError(
        f"A run is under way in {root}, so nothing can be collected there. Wait until it has ended, and try again."
    )
