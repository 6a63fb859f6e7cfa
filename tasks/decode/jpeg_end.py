"""Whether a JPEG without its end marker has all of its pixels.

Pillow calls one that has truncated too. libjpeg fills what is missing without an error, but warns of it, and of bytes
that no pixel needs; simplejpeg makes errors of these warnings. So a photo that it decodes once the end marker is added
has every bit of its pixels and not one byte more. Of a scan that is missing as a whole libjpeg does not warn: that each
coefficient was sent to its last bit is read from the headers of the scans.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import simplejpeg

END = b"\xff\xd9"
_FRAME, _SCAN = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA}), 0xDA
# ISO/IEC 10918-1, table B.1: segments that may stand between scans: tables, restart intervals, APPn and comments.
_BETWEEN = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
# Within a scan FF is followed by 0 (a stuffed byte), by a restart marker, or by the marker that ends the scan.
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
#: Bytes that may be of the pixels although they look like what fills the rest of a file.
_FEW = 3


@dataclass
class _Scans:
    """The scans of a JPEG.

    Args:
        start: Where the bytes of the last scan begin.
        end: Where they end.
        ended: Whether the end marker follows.
        precision: Of each component's 64 coefficients, the lowest bit that was sent; `None` where none was.
    """

    start: int = 0
    end: int = 0
    ended: bool = False
    precision: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether each coefficient of each component was sent to its last bit."""
        return bool(self.start) and all(bit == 0 for bits in self.precision.values() for bit in bits)


def with_end_marker(data: bytes) -> bytes | None:
    """Add the end marker to a JPEG that lacks only that, in place of what else follows its pixels.

    Args:
        data: A JPEG that ends early.

    Returns:
        The photo with an end marker; None where pixels are missing, or may be.
    """
    scans = _read_scans(data)
    if scans.ended or not scans.complete:
        return None
    colours = "CMYK" if len(scans.precision) == len("CMYK") else "GRAY"
    return next((whole for whole in _candidates(data[: scans.end]) if _is_exact(whole, colours)), None)


def _candidates(data: bytes) -> Iterator[bytes]:
    """The photo without the zeros, or the bytes FF, that may fill the rest of its file; and with what may be pixels."""
    body = data.rstrip(b"\0").rstrip(b"\xff")
    yield body + END
    if data.startswith(b"\xff\0", len(body)):  # a byte FF of the pixels: a zero always follows it
        yield body + b"\xff\0" + END
    # Many zeros would be taken for pixels where they fill the place of some.
    if 0 < len(data) - len(body) <= _FEW:
        yield data + END


def _is_exact(data: bytes, colours: str) -> bool:
    """Whether the pixels need all bytes that are there, and no more."""
    try:
        # The smallest size: all bits are read for that too.
        simplejpeg.decode_jpeg(data, colours, min_factor=8)
    except ValueError:
        return False
    return True


def _read_scans(data: bytes) -> _Scans:
    """Walk over the segments of a JPEG, up to the first that is cut short or may not stand there."""
    scans, place = _Scans(), 2
    while data[place : place + 1] == b"\xff":
        start = place
        while data[place : place + 1] == b"\xff":
            place += 1
        kind, length = data[place : place + 1], int.from_bytes(data[place + 1 : place + 3])
        segment = data[place + 3 : place + 1 + length]
        if kind == END[1:]:
            scans.ended = True
        if not kind or len(segment) < max(length - 2, 1) or not _add(scans, kind[0], segment):
            break
        place += 1 + length
        if kind[0] == _SCAN:
            scans.start = place
            found = _SCAN_END.search(data, place)
            scans.end = place = found.start() if found else len(data)
        elif not scans.start:
            scans.end = start
    return scans


def _add(scans: _Scans, kind: int, segment: bytes) -> bool:
    """Take note of a segment; False where it may not stand there."""
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
