"""Where a file is fetched to: partial transfers and locks are for a disk, so never onto an object store itself.

For a data root there, a folder of this machine stays from run to run, so that what broke off is gone on with. What is
known of a file beside its bytes (which version it is, which hash it is locked to) is on the store, where every machine
finds it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.download.fetch import state_of
from tasks.download.pinned_hash import lock_of
from tasks.paths import AnyPath
from tasks.storage.files import publish_bytes, read_bytes, storage_at, sweep


class StagingFolder:
    """A folder of this machine for files of a folder of the data root; `staging_folder` makes one.

    Args:
        folder: The one of this machine.
        home: The one of the data root.
    """

    def __init__(self, folder: Path, home: AnyPath) -> None:
        self.folder = folder
        self._home = home
        #: Whether the files are fetched to the data root itself.
        self.is_home = folder == home

    @contextmanager
    def shared(self, file: Path) -> Iterator[None]:
        """Fetch a file in the block, with what the data root knows of it, and let the data root know it.

        Args:
            file: The file, in the folder.
        """
        if self.is_home:
            yield
            return
        before = {note: self._take(note) for note in (state_of(file), lock_of(file))}
        try:
            yield
        finally:
            for note, was in before.items():
                if note.is_file() and (now := note.read_bytes()) != was:
                    publish_bytes(self._home / note.name, now)

    def _take(self, note: Path) -> bytes | None:
        """Have a note as the data root has it; one that it does not have stays as it is here."""
        try:
            data = read_bytes(self._home / note.name)
        except FileNotFoundError:
            return None
        publish_bytes(note, data)
        return data


def staging_folder(home: AnyPath) -> StagingFolder:
    """Find or make the folder of this machine for files of a folder of the data root."""
    here = storage_at(home).kept_here(home)
    sweep(here)
    return StagingFolder(here, home)
