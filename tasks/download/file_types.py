"""Recognize what a file is that is no archive we read, to say so with a remedy."""

import re
import zlib
from codecs import getincrementaldecoder
from lzma import LZMAError
from pathlib import Path
from tarfile import TarError
from typing import IO, NamedTuple

from tasks.download.limits import ExtractionLimit
from tasks.download.unpacking import Unpacking
from tasks.image_formats import image_format

#: Bytes at the start of a file that are looked at; an ISO image names itself after 32 KiB.
_HEAD = 1 << 16
#: Bytes at the end in which a zip's end record lies, its comment included.
_TAIL = 22 + (1 << 16)

_PACK_ANEW = "Pack its folder anew as .zip or .tar.gz, or extract it yourself and give the folder to --dataset"
_UNPACK_ONCE = "Unpack it once (gunzip, bunzip2 or unxz), and give what comes out to --dataset"
_ADDRESS = (
    "Open it in a browser to see what it asks for, and give --dataset the address of the archive itself, or the path "
    "of the archive that the browser downloads"
)
_JOIN = (
    "Join its parts (`zip -s 0 first.zip --out whole.zip`, or extract them with 7-Zip), and give the whole or the "
    "folder to --dataset"
)
_FOLDER = "Give --dataset the folder whose folders are named as the labels, or an archive of it"
_WHOLE = "Delete it and run again to fetch it anew, or put a whole one there"


class FileType(NamedTuple):
    """What a file is.

    Args:
        name: For people, with its article.
        remedy: What to do, as a sentence without its full stop.
    """

    name: str
    remedy: str


#: Offset, bytes, name and remedy. The first four are found inside gzip, bzip2 or xz only.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive", _UNPACK_ONCE),
    (0, b"\x1f\x8b", "a gzip file", _UNPACK_ONCE),
    (0, b"BZh", "a bzip2 file", _UNPACK_ONCE),
    (0, b"\xfd7zXZ\0", "an xz file", _UNPACK_ONCE),
    (0, b"Rar!\x1a\x07\x00", "a RAR archive (version 4)", _PACK_ANEW),
    (0, b"Rar!\x1a\x07\x01\x00", "a RAR archive (version 5)", _PACK_ANEW),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _PACK_ANEW),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file (.zst)", _PACK_ANEW),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", _PACK_ANEW),
    (0, b"LZIP", "an lzip file", _PACK_ANEW),
    (0, b"\x89LZO\0\r\n\x1a\n", "an lzop file", _PACK_ANEW),
    (0, b"\x5d\0\0", "an LZMA file (.lzma)", _PACK_ANEW),
    (0, b"\x1f\x9d", "a file packed by compress (.Z)", _PACK_ANEW),
    (0, b"MSCF", "a Windows cabinet (.cab)", _PACK_ANEW),
    (0, b"xar!", "a xar archive", _PACK_ANEW),
    (0, b"070701", "a cpio archive", _PACK_ANEW),
    (0, b"070702", "a cpio archive", _PACK_ANEW),
    (0, b"070707", "a cpio archive", _PACK_ANEW),
    (0, b"\xc7\x71", "a cpio archive", _PACK_ANEW),
    (0, b"!<arch>\ndebian-binary", "a Debian package", _PACK_ANEW),
    (0, b"!<arch>\n", "an ar archive", _PACK_ANEW),
    (0, b"\xed\xab\xee\xdb", "an RPM package", _PACK_ANEW),
    (0x8001, b"CD001", "an ISO image", _PACK_ANEW),
    (0, b"MZ", "a Windows program, maybe an archive that extracts itself", _PACK_ANEW),
    (0, b"PK\x07\x08", "the first part of a split zip", _JOIN),
    (0, b"PK00PK", "a zip of one part, made to be split", _JOIN),
    (0, b"%PDF", "a PDF", _FOLDER),
    (0, b"version https://git-lfs", "a pointer of Git LFS in place of the file", "Fetch the file with `git lfs pull`"),
)
#: How pages begin, after a byte order mark, white space, comments and an XML declaration.
_HTML = re.compile(
    r"(<\?xml.*?>|<!--.*?-->|\s)*<(!doctype\s+html|html|head|body|title|meta|script)\b", re.IGNORECASE | re.DOTALL
)
_BINARY = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def foreign_type(path: Path) -> FileType | None:
    """Recognize a file that could not be read as an archive.

    Args:
        path: The file.

    Returns:
        What it is; None where it seems to be what it should be, only damaged, or is of no known type.
    """
    try:
        with path.open("rb") as file:
            return _type_of(file)
    except OSError:
        # It cannot be read, and that is what is wrong with it.
        return None


def _type_of(file: IO[bytes]) -> FileType | None:
    head = file.read(_HEAD)
    if not head:
        return FileType("an empty file", _WHOLE)
    if _is_last_part(file):
        return FileType("the last part of a split zip", _JOIN)
    file.seek(0)
    stream = Unpacking(file, ExtractionLimit(None))
    if stream.packing:
        found = _identify(_first_of(stream))
        return found and FileType(f"{found.name} inside {stream.packing}", found.remedy)
    return None if head.startswith(b"PK\x03\x04") else _identify(head)


def _first_of(stream: Unpacking) -> bytes:
    """The first bytes of what is packed, as far as they are whole."""
    try:
        return stream.take(_HEAD)
    except (TarError, EOFError, zlib.error, LZMAError, OSError):
        return b""


def _is_last_part(file: IO[bytes]) -> bool:
    """Whether a file ends as a zip does whose first members lie in other files."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    # The number of its disk; zip64 says 0xffff.
    return at >= 0 and int.from_bytes(tail[at + 4 : at + 6], "little") not in {0, 0xFFFF}


def _identify(head: bytes) -> FileType | None:
    if head[257:262] == b"ustar":
        return None
    for offset, magic, name, remedy in _MAGIC:
        if head.startswith(magic, offset):
            return FileType(name, remedy)
    photo = image_format(head)
    if photo:
        return FileType(f"a single photo ({photo.name})", _FOLDER)
    return _identify_text(head[:2000])


def _identify_text(head: bytes) -> FileType | None:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # An incremental decoder leaves out a character that is cut at the end.
    text = getincrementaldecoder(encoding)("replace").decode(head).lstrip()
    if not text or _BINARY.search(text):
        return None
    if _HTML.match(text):
        return FileType("an HTML page", _ADDRESS)
    if "\ufffd" in text:
        return None
    kind = {"<": "XML", "{": "JSON", "[": "JSON"}.get(text[0], "text")
    return FileType(f"{kind} that begins with {text[:100].rstrip()!r}", _ADDRESS)
