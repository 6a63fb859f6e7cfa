"""A transfer that broke off: the bytes that came, and what proves that the rest still belongs to them.

The bytes are in `<name>.part`, the proof in `<name>.part.json`, both beside the file that they are to become, so that
another process can go on with them. The part is locked while somebody works on it: a second run waits for the first.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.download.limits import room_on_disk
from tasks.errors import StoreError
from tasks.storage.file_locks import is_same_file
from tasks.storage.files import publish_json, publishing, read_json

#: A header's value that every server takes.
_SENDABLE = re.compile("[!-~]([ -~]{0,998}[!-~])?")


@dataclass(frozen=True)
class Origin:
    """Which version of a file on a server some bytes are from.

    Args:
        url: Where the file was asked for.
        etag: The server's name of this version.
        last_modified: When the server says that it changed.
        total: How many bytes it has; None where the server did not say.
    """

    url: str
    etag: str | None
    last_modified: str | None
    total: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not isinstance(self.total, int | None):
            raise TypeError("no URL, or no number of bytes")
        # What cannot be sent back is no name of a version: it may come from a stranger's server, or a damaged disk.
        for name in ("etag", "last_modified"):
            value = getattr(self, name)
            if not (isinstance(value, str) and _SENDABLE.fullmatch(value)):
                object.__setattr__(self, name, None)

    @property
    def validator(self) -> str | None:
        """What `If-Range` may compare (RFC 9110, 13.1.5): an ETag unless it is weak, else the date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class Partial:
    """The bytes of a transfer that is under way or broke off; `partial_of` makes one."""

    def __init__(self, file: BinaryIO, path: Path, note: Path) -> None:
        self._file = file
        self._path = path
        self._note = note

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self._file.seek(0, os.SEEK_END)

    def origin(self) -> Origin | None:
        """Where the bytes are from; None where no bytes are there or nobody knows."""
        if not self.size or not self._note.is_file():
            return None
        try:
            return Origin(**read_json(self._note))
        except (StoreError, TypeError):
            return None

    def room(self) -> int:
        """How many bytes more the disk has room for."""
        return room_on_disk(self._path.parent)

    def begin(self, origin: Origin) -> None:
        """Drop all bytes; those that are appended from now on are of `origin`."""
        self.clear()
        publish_json(self._note, asdict(origin))

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(data)

    def clear(self) -> None:
        """Drop all bytes and what is known of them."""
        self._file.truncate(0)
        self._note.unlink(missing_ok=True)

    def flushed(self) -> Path:
        """The file of the bytes, with all of them in it."""
        self._file.flush()
        return self._path

    def publish(self, path: Path) -> None:
        """Make the bytes the file at `path`, as one step."""
        self._file.flush()
        # The lock moves along with the file, so that no sweep takes the temporary name for a leftover.
        with publishing(path) as temporary:
            self._path.replace(temporary)
        self._note.unlink(missing_ok=True)


@contextmanager
def partial_of(path: Path) -> Iterator[Partial]:
    """Open and lock what there is of a file that is being fetched to `path`; nothing is left of it if it is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.part.json")
    with _open_locked(part) as file:
        partial = Partial(file, part, note)
        try:
            yield partial
        finally:
            if not partial.size:
                part.unlink(missing_ok=True)
                note.unlink(missing_ok=True)


def _open_locked(path: Path) -> BinaryIO:
    while True:
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Who held the lock before may have published or removed the file: then its name is another's, or nobody's.
        if is_same_file(path, file.fileno()):
            return file
        file.close()
