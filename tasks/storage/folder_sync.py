"""Folders of the data root that a library reads or writes itself, which knows nothing of object stores."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.concurrency import BackgroundWriter, map_ordered
from tasks.paths import AnyPath, is_remote
from tasks.storage import local_cache, object_store
from tasks.storage.files import flush, listed
from tasks.storage.tempfiles import scratch_folder

if TYPE_CHECKING:
    from upath import UPath

#: Seconds between two times that files go to an object store, at least.
SECONDS_APART = 20.0


class Mirror:
    """A folder of the data root as one of this machine, to write to; see `mirrored`.

    Args:
        here: The folder on this machine.
    """

    def __init__(self, here: Path) -> None:
        self.here = here

    def keep(self, files: Sequence[Path]) -> None:
        """Let files outlive this process and its machine; gone is what is no longer in the folder.

        On an object store that happens while the caller goes on, who calls `settle` before any file is changed; and not
        oftener than every 20 seconds, so that a short training costs no more requests than it saves work.

        Args:
            files: What was written since the last time. The last one is kept when all others are.
        """
        for path in (*files, self.here):
            flush(path)

    def settle(self) -> None:
        """Wait until what is to be kept is; raises what came of it."""


class _Far(Mirror):
    """Scratch, and the folder that it is to be on the object store."""

    def __init__(self, here: Path, there: "UPath", behind: BackgroundWriter) -> None:
        super().__init__(here)
        self._there, self._behind = there, behind
        self._names = {path.name for path in here.iterdir()}
        self._last: Path | None = None
        self._kept = time.monotonic()

    def keep(self, files: Sequence[Path]) -> None:
        self._last = files[-1]
        if time.monotonic() - self._kept >= SECONDS_APART:
            self.finish()

    def settle(self) -> None:
        self._behind.wait()

    def finish(self) -> None:
        """Keep now what waits for its time."""
        if self._last is not None:
            self._behind.do(self._put, self._last)
            self._last, self._kept = None, time.monotonic()

    def _put(self, last: Path) -> None:
        here = {path.name for path in self.here.iterdir()}
        others = sorted(here - self._names - {last.name})
        list(
            map_ordered(
                lambda name: object_store.put(self.here / name, self._there / name), others, object_store.AT_ONCE
            )
        )
        object_store.put(last, self._there / last.name)
        object_store.remove([self._there / name for name in self._names - here])
        self._names = here


@contextmanager
def mirrored(folder: AnyPath) -> Iterator[Mirror]:
    """A folder of the data root as one of this machine, for what a library writes there; one process at a time.

    On this machine it is the folder itself. Of an object store it is one of scratch, with the same files in it.

    Args:
        folder: The folder, which has none inside; it need not be there.
    """
    if not is_remote(folder):
        yield Mirror(folder)
        return
    with scratch_folder(folder.name) as here, BackgroundWriter() as behind:
        with suppress(FileNotFoundError):
            local_cache.fetch(folder, here)
        mirror = _Far(here, folder, behind)
        yield mirror
        mirror.finish()
        mirror.settle()


@contextmanager
def at_hand(folder: AnyPath, pattern: str) -> Iterator[Path]:
    """Files of a folder of the data root on this machine, only to be read, for as long as the block lasts.

    Args:
        folder: The folder; it need not be there.
        pattern: Names of the files that are needed.

    Yields:
        A folder that has them; on this machine the folder itself.
    """
    if not is_remote(folder):
        yield folder
        return
    with scratch_folder(folder.name) as here:
        for path in listed(folder, pattern):
            # Whoever writes there may remove it meanwhile.
            with suppress(FileNotFoundError):
                folder.fs.get_file(f"{folder.path}/{path.name}", str(here / path.name))
        yield here


def discard(folder: AnyPath) -> None:
    """Remove a folder that nobody needs any more; on this machine, what cannot be removed stays."""
    if is_remote(folder):
        object_store.remove_below(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
