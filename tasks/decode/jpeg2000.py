"""Finds missing tiles in a JPEG 2000 file, which OpenJPEG does not report (ISO/IEC 15444-1, annex A)."""

import struct
from dataclasses import dataclass, field

END = b"\xff\xd9"
_START, _TILE_PART, _SIZE = b"\xff\x4f", b"\xff\x90", b"\xff\x51"
_TILE_PART_BYTES = 12


@dataclass
class Codestream:
    """Facts from the markers of a JPEG 2000 file.

    Args:
        bits: Bits per value of the first component; 0 if not stated.
        tiles: Number of tiles of the picture.
        end: Offset of the end of the last tile part.
        ended: Whether the end marker follows.
        parts: Number of parts found, by tile.
        promised: Number of parts stated, by tile; 0 if not stated, so that only the end marker tells.
    """

    bits: int = 0
    tiles: int = 0
    end: int = 0
    ended: bool = False
    parts: dict[int, int] = field(default_factory=dict)
    promised: dict[int, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all parts of all tiles are present."""
        every = len(self.parts) == self.tiles > 0
        return every and all(
            self.ended if not self.promised[tile] else count >= self.promised[tile]
            for tile, count in self.parts.items()
        )


def read_codestream(data: bytes) -> Codestream:
    """Read the markers of a JPEG 2000 file, bare or in boxes, up to its end or to a truncated part."""
    found, place = Codestream(), _codestream_start(data) + 2
    while place + 4 <= len(data) and data[place : place + 2] != _TILE_PART:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if data[place : place + 2] == _SIZE:
            _read_size(found, data[place + 4 : end])
        place = end
    while data[place : place + 2] == _TILE_PART and place + _TILE_PART_BYTES <= len(data):
        tile, length, _, parts = struct.unpack(">HIBB", data[place + 4 : place + _TILE_PART_BYTES])
        if length and (length < _TILE_PART_BYTES or place + length > len(data)):
            break
        # The last part may have no length and extend to the end marker.
        end = place + length if length else data.rfind(END, place)
        place = len(data) if end < 0 else end
        found.parts[tile] = found.parts.get(tile, 0) + 1
        found.promised[tile] = max(parts, found.promised.get(tile, 0)) if length else 0
    found.end, found.ended = place, data[place : place + 2] == END
    return found


def _codestream_start(data: bytes) -> int:
    place = 0
    while data[place : place + 2] != _START and place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        header = 16 if length == 1 else 8
        if kind == b"jp2c":
            return place + header
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16])
        if length < header:
            break
        place += length
    return place


def _read_size(found: Codestream, segment: bytes) -> None:
    if len(segment) < 37:  # the fields below and one byte
        return
    _, width, height, _, _, tile_width, tile_height, left, top, _, precision = struct.unpack_from(">H8IHB", segment)
    if tile_width and tile_height:
        found.tiles = -(-(width - left) // tile_width) * -(-(height - top) // tile_height)
    found.bits = (precision & 0x7F) + 1
