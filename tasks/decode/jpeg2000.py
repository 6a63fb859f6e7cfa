"""Finds missing tiles in a JPEG 2000 file, which OpenJPEG does not report (ISO/IEC 15444-1, annex A)."""

import struct
from collections import Counter
from typing import NamedTuple

END = b"\xff\xd9"
_START, _TILE_PART, _SIZE = b"\xff\x4f", b"\xff\x90", b"\xff\x51"
_TILE_PART_BYTES = 12
_SIZES = struct.Struct(">H8IHB")  # the segment up to the precision of the first component


class Codestream(NamedTuple):
    """Facts from the markers of a JPEG 2000 file."""

    bits: int  #: Bits per value of the first component; 0 if not stated.
    end: int  #: Offset of the end of the last tile part.
    ended: bool  #: Whether the end marker follows.
    complete: bool  #: Whether all parts of all tiles are present.


def read_codestream(data: bytes) -> Codestream:
    """Read the markers of a JPEG 2000 file, bare or in boxes, up to its end or to a truncated part."""
    bits = tiles = 0
    place = _codestream_start(data) + 2
    while place + 4 <= len(data) and data[place : place + 2] != _TILE_PART:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if data[place : place + 2] == _SIZE and len(data[place + 4 : end]) >= _SIZES.size:
            _, width, height, _, _, tile_width, tile_height, left, top, _, precision = _SIZES.unpack_from(
                data, place + 4
            )
            bits = (precision & 0x7F) + 1
            if tile_width and tile_height:
                tiles = -(-(width - left) // tile_width) * -(-(height - top) // tile_height)
        place = end
    # Number of parts stated, by tile; 0 if not stated, so that only the end marker tells.
    found, promised = Counter[int](), dict[int, int]()
    while data[place : place + 2] == _TILE_PART and place + _TILE_PART_BYTES <= len(data):
        tile, length, _, parts = struct.unpack(">HIBB", data[place + 4 : place + _TILE_PART_BYTES])
        if length and (length < _TILE_PART_BYTES or place + length > len(data)):
            break
        # The last part may have no length and extend to the end marker.
        end = place + length if length else data.rfind(END, place)
        place = len(data) if end < 0 else end
        found[tile] += 1
        promised[tile] = max(parts, promised.get(tile, 0)) if length else 0
    ended = data[place : place + 2] == END
    is_whole = all(found[tile] >= parts if parts else ended for tile, parts in promised.items())
    return Codestream(bits, place, ended, is_whole and len(found) == tiles > 0)


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
