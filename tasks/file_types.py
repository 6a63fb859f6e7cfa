"""File types, recognised by the first bytes of a file."""

import re
from collections.abc import Mapping
from typing import NamedTuple

#: First bytes that suffice to recognise an image, and any type: an ISO image names itself after 32 KiB.
HEAD, LONGEST_HEAD = 16, 1 << 16


class FileType(NamedTuple):
    """A file type."""

    name: str  #: For people; with its article unless it is an image's.
    pillow: str = ""  #: Pillow's name of an image format; empty where the decode stage does not read it.


JPEG = FileType("JPEG", "JPEG")
PNG = FileType("PNG", "PNG")
WEBP = FileType("WebP", "WEBP")
JPEG_2000 = FileType("JPEG 2000", "JPEG2000")
TAR = FileType("a tar archive")
ZIP = FileType("a zip archive")
GZIP = FileType("a gzip file")
BZIP2 = FileType("a bzip2 file")
XZ = FileType("an xz file")
SPLIT_ZIP = FileType("the first part of a split zip")
UNSPLIT_ZIP = FileType("a zip of one part, made to be split")
PDF = FileType("a PDF")
LFS_POINTER = FileType("a pointer of Git LFS in place of the file")

_IMAGES = {
    JPEG: rb"\xff\xd8\xff",
    PNG: rb"\x89PNG\r\n\x1a\n",
    WEBP: rb"RIFF.{4}WEBP",
    FileType("GIF", "GIF"): rb"GIF8[79]a",
    # Text may begin with BM too; a bitmap goes on with its size and four reserved zeros.
    FileType("BMP", "BMP"): rb"BM.{4}\0{4}",
    FileType("TIFF", "TIFF"): rb"II[*+]\0|MM\0[*+]",
    # Likewise with P5; a picture goes on in the next line, with its width and height or a comment.
    FileType("PBM, PGM or PPM", "PPM"): rb"P[1-6][ \t]*\r?\n\s*(#|[1-9]\d*\s+[1-9])",
    JPEG_2000: rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    FileType("JPEG XL"): rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a",
    FileType("Photoshop"): rb"8BPS",
    # ISO/IEC 14496-12: such a file starts with a box `ftyp`, whose first four letters name the brand.
    FileType("HEIC"): rb".{4}ftyp(hei[cx]|hevc)",
    FileType("HEIF"): rb".{4}ftyp(mif1|msf1)",
    FileType("AVIF"): rb".{4}ftypavi[fs]",
}
_OTHERS = {
    # A tar comes first: it begins with the name of a file, which may be "MZ.jpg".
    TAR: rb".{257}ustar",
    ZIP: rb"PK(\x03\x04|\x05\x06)",
    GZIP: rb"\x1f\x8b",
    BZIP2: rb"BZh",
    XZ: rb"\xfd7zXZ\0",
    FileType("a RAR archive (version 4)"): rb"Rar!\x1a\x07\x00",
    FileType("a RAR archive (version 5)"): rb"Rar!\x1a\x07\x01\x00",
    FileType("a 7z archive"): rb"7z\xbc\xaf\x27\x1c",
    FileType("a Zstandard file (.zst)"): rb"\x28\xb5\x2f\xfd",
    FileType("an LZ4 file"): rb"\x04\x22\x4d\x18",
    FileType("an lzip file"): rb"LZIP",
    FileType("an lzop file"): rb"\x89LZO\0\r\n\x1a\n",
    FileType("an LZMA file (.lzma)"): rb"\x5d\0\0",
    FileType("a file packed by compress (.Z)"): rb"\x1f\x9d",
    FileType("a Windows cabinet (.cab)"): rb"MSCF",
    FileType("a xar archive"): rb"xar!",
    FileType("a cpio archive"): rb"07070[127]|\xc7\x71",
    FileType("a Debian package"): rb"!<arch>\ndebian-binary",
    FileType("an ar archive"): rb"!<arch>\n",
    FileType("an RPM package"): rb"\xed\xab\xee\xdb",
    FileType("an ISO image"): rb".{32769}CD001",
    FileType("a Windows program, maybe an archive that extracts itself"): rb"MZ",
    SPLIT_ZIP: rb"PK\x07\x08",
    UNSPLIT_ZIP: rb"PK00PK",
    PDF: rb"%PDF",
    LFS_POINTER: rb"version https://git-lfs",
}
_IMAGE_PATTERNS, _OTHER_PATTERNS = (
    {known: re.compile(start, re.DOTALL) for known, start in starts.items()} for starts in (_IMAGES, _OTHERS)
)
#: Pillow's names of the formats that the decode stage reads.
PILLOW_FORMATS = tuple(known.pillow for known in _IMAGES if known.pillow)


def image_format(head: bytes) -> FileType | None:
    """Recognise the format of an image; None for any other file.

    Args:
        head: Its first `HEAD` bytes or more, or all that it has.
    """
    return _first_match(_IMAGE_PATTERNS, head)


def other_type(head: bytes) -> FileType | None:
    """Recognise the type of a file that is no image; None where it is unknown.

    Args:
        head: Its first `LONGEST_HEAD` bytes, or all of a smaller file.
    """
    return _first_match(_OTHER_PATTERNS, head)


def _first_match(patterns: Mapping[FileType, re.Pattern[bytes]], head: bytes) -> FileType | None:
    return next((known for known, pattern in patterns.items() if pattern.match(head)), None)
