"""The tar inside an archive, unpacked as it is read: once, from start to end, a bounded piece at a time."""

import bz2
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, Protocol

from tasks.download.limits import ExtractionLimit

#: Bytes that are unpacked at once, and that are read at once: few, as all but the first are copied for each of the
#: streams that lie in them.
PIECE, _INPUT = 1 << 18, 1 << 16
#: Bytes that tarfile may read to find a member: its header, its long name, its PAX headers.
_MAX_HEADER = 1 << 18
#: Memory that xz may need; `xz -9` needs 65 MiB.
_XZ_MEMORY = 1 << 28
#: Python below 3.11.10 takes quadratic time for a PAX header of digits (CVE-2024-6232); no number is so long.
_DIGITS = re.compile(rb"\d{100}")


class _Decompressor(Protocol):
    """What bz2 and lzma have."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """The same for gzip, checksum included."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_FORMATS: dict[bytes, tuple[str, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", _xz),
}


class Unpacking:
    """A file of the kind that tarfile reads, which lets it read headers only; `take` gives the members' bytes.

    Args:
        raw: The archive, from its start.
        budget: Is told of all bytes, those of headers and padding included.
    """

    def __init__(self, raw: IO[bytes], budget: ExtractionLimit) -> None:
        start = raw.read(6)
        raw.seek(0)
        packing, make = next((found for magic, found in _FORMATS.items() if start.startswith(magic)), ("", None))
        #: What the tar, or whatever it is, lies in: gzip, bzip2, xz or nothing.
        self.packing: str = packing
        self._make: Callable[[], _Decompressor] | None = make
        self._decompressor: _Decompressor = self._make() if self._make else _Gzip()
        self._input = b""
        self._raw = raw
        self._budget = budget
        self._piece = b""
        self._used = 0
        self._position = 0
        self._header = 0
        #: What was read last as a header.
        self.last = b""

    def take(self, size: int) -> bytes:
        """Read on: at least one byte and at most `size`, or nothing at the end."""
        if self._used == len(self._piece):
            self._piece, self._used = self._unpack(), 0
            self._budget.spend(len(self._piece), self._raw.tell())
        data = self._piece[self._used : self._used + size]
        self._used += len(data)
        self._position += len(data)
        return data

    def begin_member(self) -> None:
        """Let tarfile read the headers of one more member."""
        self._header = 0

    def read(self, size: int) -> bytes:
        """Read a header, for tarfile."""
        self._header += size
        if size < 0 or self._header > _MAX_HEADER:
            raise tarfile.ReadError("a member's header is longer than any name needs")
        pieces = []
        while size and (data := self.take(size)):
            pieces.append(data)
            size -= len(data)
        self.last = b"".join(pieces)
        if _DIGITS.search(self.last):
            raise tarfile.ReadError("a member's header is no header")
        return self.last

    def seek(self, position: int) -> int:
        """Go on to a position, for tarfile; there is no way back."""
        if position < self._position:
            raise tarfile.ReadError("a member's size is negative")
        last = self.last
        self.read(position - self._position)
        self.last = last
        return self._position

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position

    def _unpack(self) -> bytes:
        while self._make is not None:
            if self._decompressor.eof:
                self._input = self._after(self._decompressor.unused_data)
                if not self._input:
                    return b""
                self._decompressor = self._make()
            if self._decompressor.needs_input and not self._input:
                self._input = self._raw.read(_INPUT)
                if not self._input:
                    raise EOFError("it ends in the middle")
            unpacked = self._decompressor.decompress(self._input, PIECE)
            self._input = b""
            if unpacked:
                return unpacked
        return self._raw.read(PIECE)

    def _after(self, data: bytes) -> bytes:
        """What follows a stream and the zeros that may pad it: more streams, or nothing."""
        while not (rest := data.lstrip(b"\0")):
            data = self._raw.read(_INPUT)
            if not data:
                break
        return rest
