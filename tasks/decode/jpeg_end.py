"""Repairs a JPEG that lacks nothing but its end marker, which Pillow rejects as truncated.

libjpeg fills missing pixels and only warns, but simplejpeg turns the warning into an error. So a photo that simplejpeg
decodes with an end marker added, and does not decode without its last byte, has all of its pixels and no further byte.
libjpeg does not warn of a whole missing scan. The headers of the scans tell whether each coefficient was sent to its
last bit.
"""

import re
from collections.abc import Iterator

import simplejpeg

START, END = b"\xff\xd8", b"\xff\xd9"
_FRAME, _SCAN = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA}), 0xDA
# ISO/IEC 10918-1, table B.1: segments that may stand between scans: tables, restart intervals, APPn and comments.
_BETWEEN = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xFE, *range(0xE0, 0xF0)})
# Within a scan FF is followed by 0 (a stuffed byte), by a restart marker, or by the marker that ends the scan.
_SCAN_END = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)

#: Lowest bit that was sent of each of the 64 coefficients, by component; None if none was sent.
Precision = dict[int, list[int | None]]


def with_end_marker(data: bytes) -> bytes | None:
    """Add the end marker to a JPEG that ends early, in place of filling bytes after the pixels.

    The result is None if pixels are, or may be, missing.
    """
    precision: Precision = {}
    end = 0
    try:
        for kind, segment, place in _segments(data):
            if kind == _SCAN:
                _add_scan(precision, segment)
                end = place
            elif kind in _FRAME and not precision:
                # The number of components follows precision, height and width.
                precision = {component: [None] * 64 for component in segment[6 : 6 + 3 * segment[5] : 3]}
            elif kind not in _BETWEEN:
                return None
    except (IndexError, KeyError, ValueError):
        return None
    if not end or any(bit != 0 for bits in precision.values() for bit in bits):
        return None
    colours = "CMYK" if len(precision) == len("CMYK") else "GRAY"
    return next((body + END for body in _bodies(data[:end]) if _is_exact(body, colours)), None)


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


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield kind, content and end of each segment, up to another photo; raise a ValueError at an invalid one."""
    place = len(START)
    while place < len(data) and not data.startswith(START, place):
        kind, length = data[place + 1 : place + 2], int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if data[place] != 0xFF or len(segment) < max(length - 2, 1):
            raise ValueError(place)
        place += 2 + length
        if kind[0] == _SCAN:
            found = _SCAN_END.search(data, place)
            place = found.end() - len(END) if found else len(data)
        yield kind[0], segment, place


def _add_scan(precision: Precision, segment: bytes) -> None:
    count, (first, last, bits) = segment[0], segment[-3:]
    if len(segment) != 4 + 2 * count:
        raise ValueError(count)
    for component in segment[1:-3:2]:
        precision[component][first : last + 1] = [bits & 15] * (last + 1 - first)
