"""The members of an archive of any format."""

from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from tarfile import ReadError
from typing import NamedTuple

from tasks.download.limits import ArchiveRejectedError

#: Bytes that are unpacked at once.
PIECE = 1 << 18
#: Bytes of a zip's list of members: zipfile reads it at once, and takes ten times its size of memory.
_MAX_LIST = 1 << 26


class ArchiveFile(BufferedReader):
    """An archive that is open for reading, at most `_MAX_LIST` bytes at once."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        super().__init__(path.open("rb", buffering=0))

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; zipfile requests as many as the archive tells it to."""
        wanted = self.size if size is None or size < 0 else size
        if min(wanted, self.size - self.tell()) > _MAX_LIST:
            raise ArchiveRejectedError(f"its list of members has more than {_MAX_LIST:,} bytes")
        return super().read(size)


class Member(NamedTuple):
    """A file of an archive."""

    path: str  #: Relative path that no other member has.
    data: Iterator[bytes]  #: Its bytes, in pieces; to be read before the next member is requested.
    copy_of: str | None = None  #: An earlier member with the same bytes, for a hard link; then `data` is empty.


def read_exactly(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """Read the bytes of a member in pieces, and fail where there are fewer than it declares."""
    if size < 0:
        raise ReadError("a member's size is negative")
    while size:
        data = read(min(size, PIECE))
        if not data:
            raise EOFError("it ends in the middle")
        size -= len(data)
        yield data
