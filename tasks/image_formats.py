"""Image formats, recognised by the first bytes of a file."""

import re
from typing import NamedTuple

#: How many first bytes tell a format.
HEAD = 16


class ImageFormat(NamedTuple):
    """A format.

    Args:
        name: For people.
        pillow: Pillow's name of it; empty where the decode stage does not read it.
    """

    name: str
    pillow: str = ""


JPEG = ImageFormat("JPEG", "JPEG")
PNG = ImageFormat("PNG", "PNG")
WEBP = ImageFormat("WebP", "WEBP")
JPEG_2000 = ImageFormat("JPEG 2000", "JPEG2000")

_STARTS = {
    JPEG: rb"\xff\xd8\xff",
    PNG: rb"\x89PNG\r\n\x1a\n",
    WEBP: rb"RIFF.{4}WEBP",
    ImageFormat("GIF", "GIF"): rb"GIF8[79]a",
    # Text may begin with BM too; a bitmap goes on with its size and four reserved zeros.
    ImageFormat("BMP", "BMP"): rb"BM.{4}\0{4}",
    ImageFormat("TIFF", "TIFF"): rb"II[*+]\0|MM\0[*+]",
    # Likewise with P5; a picture goes on in the next line, with its width and height or a comment.
    ImageFormat("PBM, PGM or PPM", "PPM"): rb"P[1-6][ \t]*\r?\n\s*(#|[1-9]\d*\s+[1-9])",
    JPEG_2000: rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    ImageFormat("JPEG XL"): rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
    ImageFormat("Photoshop"): rb"8BPS",
    # ISO/IEC 14496-12: such a file starts with a box `ftyp`, whose first four letters name the brand.
    ImageFormat("HEIC"): rb".{4}ftyp(hei[cx]|hevc)",
    ImageFormat("HEIF"): rb".{4}ftyp(mif1|msf1)",
    ImageFormat("AVIF"): rb".{4}ftypavi[fs]",
}
_PATTERNS = [(known, re.compile(start, re.DOTALL)) for known, start in _STARTS.items()]
#: Pillow's names of the formats that the decode stage reads.
PILLOW_FORMATS = tuple(known.pillow for known in _STARTS if known.pillow)


def image_format(head: bytes) -> ImageFormat | None:
    """Recognise the format of a file; None where it is none of an image that is known.

    Args:
        head: Its first `HEAD` bytes or more, or all that it has.
    """
    return next((known for known, start in _PATTERNS if start.match(head)), None)
