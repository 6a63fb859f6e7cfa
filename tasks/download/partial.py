"""A partial download: the bytes that came, and the version of the file that they belong to.

The bytes are in `<name>.part`, the version in `<name>.part.json`, both beside the file that they are to become, so that
another process can resume the transfer. The part is locked while a process writes to it: a second run waits.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.errors import StoreError
from tasks.storage.file_locks import is_same_file
from tasks.storage.files import publish_json, publishing, read_json

#: Values of a header that every server accepts.
_SENDABLE = re.compile("[!-~]([ -~]{0,998}[!-~])?")


@dataclass(frozen=True)
class Origin:
    """The version of a file on a server that some bytes are from."""

    url: str  #: URL of the file, without secrets.
    etag: str | None  #: The server's name of the version.
    last_modified: str | None  #: When the version was made, as the server writes it.
    total: int | None = None  #: Bytes of the file; None where the server did not say.

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not isinstance(self.total, int | None):
            raise TypeError("no URL, or no number of bytes")
        # A value that cannot be sent back names no version: it may come from any server, or a damaged disk.
        for name in ("etag", "last_modified"):
            value = getattr(self, name)
            if not (isinstance(value, str) and _SENDABLE.fullmatch(value)):
                object.__setattr__(self, name, None)

    @property
    def validator(self) -> str | None:
        """The value for `If-Range` (RFC 9110, 13.1.5): the ETag unless it is weak, else the date."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    @property
    def conditions(self) -> dict[str, str]:
        """Headers for which the server sends the file only if it has another version."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


class Partial:
    """The bytes of an unfinished transfer, in a locked file at `path`; `open_partial` makes one."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self._file = file
        self._origin_path = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._file.seek(0, os.SEEK_END)

    def origin(self) -> Origin | None:
        """Return the version that the bytes are from; None where there are no bytes or the version is unknown."""
        if not self.size or not self._origin_path.is_file():
            return None
        try:
            return Origin(**read_json(self._origin_path))
        except (StoreError, TypeError):
            return None

    def begin(self, origin: Origin) -> None:
        """Delete all bytes; those that are appended from now on are of `origin`."""
        self.clear()
        publish_json(self._origin_path, asdict(origin))

    def append(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)

    def clear(self) -> None:
        """Delete all bytes and their version."""
        self._file.truncate(0)
        self._origin_path.unlink(missing_ok=True)

    def flush(self) -> None:
        """Flush the bytes into the file."""
        self._file.flush()

    def publish(self, path: Path) -> None:
        """Make the bytes the file at `path`, as one step."""
        # The lock moves along with the file, so that no sweep takes the temporary name for a leftover.
        with publishing(path) as temporary:
            self.flush()
            self.path.replace(temporary)
        self._origin_path.unlink(missing_ok=True)


@contextmanager
def open_partial(path: Path) -> Iterator[Partial]:
    """Open and lock the partial download of the file at `path`; an empty one is deleted at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with _open_locked(part) as file:
        partial = Partial(file, part)
        try:
            yield partial
        finally:
            if not partial.size:
                partial.clear()
                part.unlink(missing_ok=True)


def _open_locked(path: Path) -> BinaryIO:
    while True:
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        # The last holder of the lock may have published or removed the file: then its name is another's, or nobody's.
        if is_same_file(path, file.fileno()):
            return file
        file.close()
