"""Reads and removes chunks of a PNG (PNG specification, 3rd edition, section 5)."""

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SIGNATURE_BYTES = 8
END = b"IEND"
# The ancillary chunk that changes pixels.
_TRANSPARENCY = b"tRNS"
_ANCILLARY = 0x20


class Chunk(NamedTuple):
    """A chunk of a PNG."""

    kind: bytes  #: Type, such as `IDAT`.
    start: int  #: Offset of the chunk, which begins with its length.
    end: int  #: Offset of the next chunk.

    @property
    def is_picture(self) -> bool:
        """Whether the pixels need the chunk."""
        return not self.kind[0] & _ANCILLARY or self.kind == _TRANSPARENCY

    def content(self, data: bytes) -> memoryview:
        """Return the content of the chunk, given that of the file."""
        return memoryview(data)[self.start + 8 : self.end - 4]

    def is_intact(self, data: bytes) -> bool:
        """Whether the checksum is right."""
        checksum = zlib.crc32(memoryview(data)[self.start + 4 : self.end - 4])
        return checksum == int.from_bytes(data[self.end - 4 : self.end])


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG, up to the end marker or to a truncated chunk."""
    place, kind = _SIGNATURE_BYTES, b""
    while kind != END and place + 12 <= len(data):
        start, kind = place, data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4])
        if place <= len(data):
            yield Chunk(kind, start, place)


def without(data: bytes, unwanted: Callable[[Chunk], bool]) -> bytes:
    """Remove unwanted chunks that the pixels do not need; bytes that are no chunk stay."""
    kept, place = [], 0
    for chunk in read_chunks(data):
        if not chunk.is_picture and unwanted(chunk):
            kept.append(data[place : chunk.start])
            place = chunk.end
    return b"".join([*kept, data[place:]])
