"""The chunks of a PNG, and a PNG without those that are not the picture (PNG specification, 3rd edition, section 5)."""

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SIGNATURE_BYTES = 8
END = b"IEND"
# The ancillary chunk without which pixels would be others.
_TRANSPARENCY = b"tRNS"
_ANCILLARY = 0x20


class Chunk(NamedTuple):
    """A chunk.

    Args:
        kind: Its type, such as `IDAT`.
        start: Where in the file it begins, with its length.
        end: Where the next one begins.
    """

    kind: bytes
    start: int
    end: int

    @property
    def is_picture(self) -> bool:
        """Whether the pixels need it."""
        return not self.kind[0] & _ANCILLARY or self.kind == _TRANSPARENCY

    def content(self, data: bytes) -> memoryview:
        """Its bytes."""
        return memoryview(data)[self.start + 8 : self.end - 4]

    def is_intact(self, data: bytes) -> bool:
        """Whether its checksum is right."""
        checksum = zlib.crc32(memoryview(data)[self.start + 4 : self.end - 4])
        return checksum == int.from_bytes(data[self.end - 4 : self.end])


def read_chunks(data: bytes) -> Iterator[Chunk]:
    """Walk over a PNG's chunks, up to the end marker or to one that is cut short."""
    place, kind = _SIGNATURE_BYTES, b""
    while kind != END and place + 12 <= len(data):
        start, kind = place, data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4])
        if place <= len(data):
            yield Chunk(kind, start, place)


def without(data: bytes, unwanted: Callable[[Chunk], bool]) -> bytes:
    """Leave chunks out that are not the picture; what cannot be read as a chunk stays."""
    kept, place = [], 0
    for chunk in read_chunks(data):
        if not chunk.is_picture and unwanted(chunk):
            kept.append(data[place : chunk.start])
            place = chunk.end
    return b"".join([*kept, data[place:]])
