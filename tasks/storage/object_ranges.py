"""Objects of a store as files from which pyarrow reads parts: one request a part, and none to open them."""

import io
import os
from typing import TYPE_CHECKING

from tasks.storage.remote_listing import object_size, read_range

if TYPE_CHECKING:
    from upath import UPath


class ObjectRanges(io.RawIOBase):
    """An object of a store, read in ranges; a broken connection is tried again.

    Args:
        path: The object.
        size: Its bytes; None to ask the store.

    Raises:
        StoreUnreachableError: The store does not answer; reading raises it too.
        OSError: The object is missing, or may not be read; likewise.
    """

    def __init__(self, path: "UPath", size: int | None = None) -> None:
        self._path, self._place = path, 0
        self._size = object_size(path) if size is None else size

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether any place can be read."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the place to read from; see `io.IOBase.seek`."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        """The place to read from."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, or the rest, by one request."""
        rest = max(self._size - self._place, 0)
        count = rest if size is None or size < 0 else min(size, rest)
        data = read_range(self._path, self._place, count) if count else b""
        self._place += len(data)
        return data
