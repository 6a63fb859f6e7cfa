"""Works for actors, as the tests of what actors do need them."""

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tasks.hardware import available_cores
from tasks.storage.errors import DamagedError


class Seen(NamedTuple):
    """What an actor finds around it."""

    rows: int
    process: int
    opened: int
    cores: int
    threads: str
    main: str | None


@dataclass(frozen=True)
class Look:
    """Looks around."""

    @cached_property
    def _opened(self) -> list[int]:
        return []

    def __call__(self, block: pa.Table) -> Seen:
        """Say what is there."""
        self._opened.append(block.num_rows)
        main = getattr(sys.modules["__main__"], "__file__", None)
        threads = os.environ["TF_NUM_INTRAOP_THREADS"]
        return Seen(block.num_rows, os.getpid(), len(self._opened), available_cores(), threads, main)


@dataclass(frozen=True)
class Break:
    """Finds a file damaged."""

    path: Path

    def __call__(self, _: pa.Table) -> None:
        """Raise what names it."""
        raise DamagedError(self.path, f"{self.path} is damaged. Delete it.")


@dataclass(frozen=True)
class Stumble:
    """Has a bug."""

    def __call__(self, block: pa.Table) -> None:
        """Raise what no user can mend."""
        block.column("no such")
