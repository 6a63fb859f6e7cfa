"""Folders of an object store as local ones, for libraries that read and write local files only."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.concurrency import BackgroundWriter, map_ordered
from tasks.storage import local_cache, object_store
from tasks.storage.protocol import Mirror
from tasks.storage.tempfiles import scratch_folder

if TYPE_CHECKING:
    from upath import UPath

#: Least number of seconds between two uploads.
UPLOAD_SECONDS = 20.0


class RemoteMirror(Mirror):
    """A folder of scratch, and the folder of an object store that it is uploaded to; see `Mirror`."""

    def __init__(self, here: Path, remote: "UPath", uploads: BackgroundWriter) -> None:
        super().__init__(here)
        self._remote, self._uploads = remote, uploads
        self._names = {path.name for path in here.iterdir()}
        self._last: Path | None = None
        self._kept = time.monotonic()

    def keep(self, files: Sequence[Path]) -> None:
        self._last = files[-1]
        if time.monotonic() - self._kept >= UPLOAD_SECONDS:
            self.finish()

    def settle(self) -> None:
        self._uploads.wait()

    def finish(self) -> None:
        """Start the upload of files that are not stored yet."""
        if self._last is not None:
            self._uploads.do(self._put, self._last)
            self._last, self._kept = None, time.monotonic()

    def _put(self, last: Path) -> None:
        here = {path.name for path in self.here.iterdir()}

        def put(name: str) -> None:
            object_store.put(self.here / name, self._remote / name)

        list(map_ordered(put, sorted(here - self._names - {last.name}), object_store.PARALLEL_REQUESTS))
        put(last.name)
        object_store.remove([self._remote / name for name in self._names - here])
        self._names = here


@contextmanager
def mirrored(folder: "UPath") -> Iterator[RemoteMirror]:
    """Work on a copy of a folder in scratch; see `Storage.mirrored`."""
    with scratch_folder(folder.name) as here, BackgroundWriter() as uploads:
        with suppress(FileNotFoundError):
            local_cache.fetch(folder, here, object_store.found_at(folder))
        mirror = RemoteMirror(here, folder, uploads)
        yield mirror
        mirror.finish()
        mirror.settle()
