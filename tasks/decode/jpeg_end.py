"""Repairs a JPEG that lacks nothing but its end marker, which Pillow rejects as truncated.

libjpeg fills missing pixels and only warns, but simplejpeg turns the warning into an error. So a photo that simplejpeg
decodes with an end marker added, and does not decode without its last byte, has all of its pixels and no further byte.
libjpeg does not warn of a whole missing scan. The headers of the scans tell whether each coefficient was sent to its
last bit.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import simplejpeg

START, END = b"\xff\xd8", b"\xff\xd9"
_FRAME, _SCAN = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA}), 0xDA
# ISO/IEC 10918-1, table B.1: segments that may stand between scans: tables, restart intervals, APPn and comments.
_BETWEEN = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
# Within a scan FF is followed by 0 (a stuffed byte), by a restart marker, or by the marker that ends the scan.
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass
class _Scans:
    """The scans of a JPEG.

    Args:
        start: Offset of the bytes of the last scan.
        end: Offset of the end of these bytes.
        is_open: Whether nothing follows but, perhaps, another photo.
        precision: Lowest bit that was sent of each of the 64 coefficients, by component; `None` if none was sent.
    """

    start: int = 0
    end: int = 0
    is_open: bool = True
    precision: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether each coefficient of each component was sent to its last bit, and nothing follows."""
        return self.is_open and bool(self.start) and all(bit == 0 for bits in self.precision.values() for bit in bits)


def with_end_marker(data: bytes) -> bytes | None:
    """Add the end marker to a JPEG that ends early, in place of filling bytes after the pixels.

    The result is None if pixels are, or may be, missing.
    """
    scans = _read_scans(data)
    if not scans.complete:
        return None
    colours = "CMYK" if len(scans.precision) == len("CMYK") else "GRAY"
    return next((body + END for body in _bodies(data[: scans.end]) if _is_exact(body, colours)), None)


def _bodies(data: bytes) -> Iterator[bytes]:
    """Yield the photo without trailing bytes 00 and FF, and then with those that may belong to the pixels."""
    body = data.rstrip(b"\0").rstrip(b"\xff")
    yield body
    if data.startswith(b"\xff\0", len(body)):  # in pixels, a zero follows each byte FF
        yield body + b"\xff\0"
    # A longer run of zeros may stand in for missing pixels.
    if data[len(body) :] == b"\0":
        yield data


def _is_exact(body: bytes, colours: str) -> bool:
    """Whether the pixels need all of the bytes and no more."""
    last = 2 if body.endswith(b"\xff\0") else 1
    return _is_whole(body, colours) and not _is_whole(body[:-last], colours)


def _is_whole(body: bytes, colours: str) -> bool:
    try:
        # The smallest size is the fastest, and needs all bits too.
        simplejpeg.decode_jpeg(body + END, colours, min_factor=8)
    except ValueError:
        return False
    return True


def _read_scans(data: bytes) -> _Scans:
    """Read the segments of a JPEG, up to its end or to an invalid segment."""
    scans, place = _Scans(), len(START)
    while place < len(data) and not data.startswith(START, place):
        kind, length = data[place + 1 : place + 2], int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if data[place] != 0xFF or len(segment) < max(length - 2, 1) or not _add(scans, kind[0], segment):
            scans.is_open = False
            break
        place += 2 + length
        if kind[0] == _SCAN:
            found = _SCAN_END.search(data, place)
            scans.start, place = place, found.end() - len(END) if found else len(data)
            scans.end = place
    return scans


def _add(scans: _Scans, kind: int, segment: bytes) -> bool:
    """Record a segment; return False if it is invalid here."""
    if kind in _FRAME and not scans.precision:
        count = segment[5] if len(segment) > 5 else 0  # after precision, height and width
        scans.precision = {component: [None] * 64 for component in segment[6 : 6 + 3 * count : 3]}
        return bool(scans.precision)
    if kind == _SCAN:
        return _add_scan(scans, segment)
    return kind in _BETWEEN


def _add_scan(scans: _Scans, segment: bytes) -> bool:
    count = segment[0]
    if len(segment) != 4 + 2 * count:
        return False
    first, last, bits = struct.unpack("3B", segment[-3:])
    for component in segment[1:-3:2]:
        if component not in scans.precision:
            return False
        scans.precision[component][first : last + 1] = [bits & 15] * (last + 1 - first)
    return True
