"""Photos drawn for the tests of decoding, and the results of decoding them."""

import hashlib
import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from PIL import Image

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.photo_file import Photo
from tasks.decode.rejections import Reason, Rejected
from tasks.decode.repair import Flaw
from tasks.decode.settings import DecodeSettings

Pixels = npt.NDArray[np.uint8]

SIDE = 20
#: With these settings a photo of this side keeps its pixels.
EXACT = DecodeSettings(size=SIDE, resize=SIDE, encoding="png")

#: Linear sRGB to XYZ as ICC profiles have it (adapted to D50), and the same for Display P3.
SRGB_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3_TO_XYZ = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
GAMMA = 2.2


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    """Draw pixels that differ from each other: uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(width: int, height: int) -> Image.Image:
    """Draw a photo without fine detail."""
    return Image.fromarray(noise(5, 4)).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    """Encode as Pillow does."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """Put a chunk of a PNG together."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Put a PNG together by hand, for what Pillow does not write.

    Args:
        width: In pixels; may be a lie.
        height: In pixels; may be a lie.
        depth: Bits a channel.
        colour: The PNG's colour type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha.
        rows: The raw scan lines, each with its filter byte.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def p3_profile() -> bytes:
    """Put an ICC profile together: the primaries of Display P3, a plain gamma, a name that says neither."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    name = b"drawn for a test\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        **{tag: xyz(tuple(P3_TO_XYZ[:, i])) for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    fields = (b"\x02\x10\0\0", b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = struct.pack(">I4x4s4s4s4s12x4s28x", start + len(body), *fields)
    illuminant = b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return header + illuminant + bytes(128 - len(header) - len(illuminant)) + table + body


def oriented(orientation: int) -> Image.Exif:
    """Exif of an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def pixels_of(data: bytes, settings: DecodeSettings = EXACT) -> Pixels:
    """Decode a photo."""
    return read_pixels(decode_photo(data, settings).image)


def decoded(data: bytes) -> tuple[Pixels, tuple[Flaw, ...]]:
    """Decode a photo exactly; returns its flaws, too."""
    picture = decode_photo(data, EXACT)
    return read_pixels(picture.image), picture.flaws


def rejection_of(data: bytes, max_pixels: int = 10**8) -> Reason:
    """Why a photo is rejected."""
    with pytest.raises(Rejected) as caught:
        decode_photo(data, EXACT, max_pixels)
    return caught.value.rejection.reason


def table_of(photos: Mapping[str, bytes]) -> pa.Table:
    """Return the snapshot's table of photos, given by path."""
    keys = [hashlib.sha256(data).hexdigest() for data in photos.values()]
    return pa.table({"sha256": keys, "path": list(photos), "bytes": [len(data) for data in photos.values()]})


def photos_in(folder: Path) -> pa.Table:
    """Return the snapshot's table of the photos in a folder."""
    return table_of({file.name: file.read_bytes() for file in sorted(folder.iterdir())})


def write_photo(folder: Path, name: str, data: bytes) -> Photo:
    """Write a photo into a folder."""
    (folder / name).write_bytes(data)
    return Photo(hashlib.sha256(data).hexdigest(), name)
