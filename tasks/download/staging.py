"""Folder that files are fetched to: on this machine, as partial transfers and locks need a disk.

For a data root on an object store, it stays from run to run, so that a transfer that broke off is resumed. The version
and the pinned hash of a file are on the store, where every machine finds them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.download.fetch import state_path
from tasks.download.pinned_hash import pin_path
from tasks.paths import AnyPath, is_remote, read_bytes
from tasks.storage.files import publish_bytes
from tasks.storage.tempfiles import kept_here, sweep


class StagingFolder:
    """A folder of this machine for files of a folder of the data root; `staging_folder` makes one.

    Args:
        folder: Folder of this machine.
        home: Folder of the data root.
    """

    def __init__(self, folder: Path, home: AnyPath) -> None:
        self.folder = folder
        self._home = home

    @contextmanager
    def synchronise(self, file: Path) -> Iterator[None]:
        """Copy the state and the pin of a file from the data root, and what the block changes of them back to it."""
        if not is_remote(self._home):
            yield
            return
        before = {note: self._download(note) for note in (state_path(file), pin_path(file))}
        try:
            yield
        finally:
            for note, data in before.items():
                if note.is_file() and (now := note.read_bytes()) != data:
                    publish_bytes(self._home / note.name, now)

    def _download(self, note: Path) -> bytes | None:
        try:
            data = read_bytes(self._home / note.name)
        except FileNotFoundError:
            # One of this machine stays as it is.
            return None
        publish_bytes(note, data)
        return data


def staging_folder(home: AnyPath) -> StagingFolder:
    """Find the folder of this machine for files of a folder of the data root."""
    folder = kept_here(home)
    if is_remote(home):
        sweep(folder)
    return StagingFolder(folder, home)
