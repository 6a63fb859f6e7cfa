"""Files in place of an archive: recognised, so that the error can name them with a remedy."""

import re
import zlib
from codecs import getincrementaldecoder
from contextlib import suppress
from lzma import LZMAError
from pathlib import Path
from tarfile import TarError
from typing import NamedTuple

from tasks.download.limits import ExtractionLimit
from tasks.download.tar_members import DecompressedStream
from tasks.download.zip_members import is_last_part
from tasks.file_types import (
    BZIP2,
    GZIP,
    LFS_POINTER,
    LONGEST_HEAD,
    PDF,
    SPLIT_ZIP,
    TAR,
    UNSPLIT_ZIP,
    XZ,
    ZIP,
    image_format,
    other_type,
)

#: Bytes at the end in which a zip's end record lies, its comment included.
_TAIL = 22 + (1 << 16)

_UNPACK_ONCE = "Unpack it once (gunzip, bunzip2 or unxz), and give what comes out to --dataset"
_OPEN_IN_BROWSER = (
    "Open it in a browser to see what it asks for, and give --dataset the address of the archive itself, or the path "
    "of the archive that the browser downloads"
)
_JOIN = (
    "Join its parts (`zip -s 0 first.zip --out whole.zip`, or extract them with 7-Zip), and give the whole or the "
    "folder to --dataset"
)
_GIVE_FOLDER = "Give --dataset the folder whose folders are named as the labels, or an archive of it"
_FETCH_AGAIN = "Delete it and run again to fetch it anew, or put a whole one there"
_PACK_ANEW = "Pack its folder anew as .zip or .tar.gz, or extract it yourself and give the folder to --dataset"
_REMEDIES = {
    **dict.fromkeys((ZIP, GZIP, BZIP2, XZ), _UNPACK_ONCE),
    **dict.fromkeys((SPLIT_ZIP, UNSPLIT_ZIP), _JOIN),
    PDF: _GIVE_FOLDER,
    LFS_POINTER: "Fetch the file with `git lfs pull`",
}
#: How pages begin, after a byte order mark, white space, comments and an XML declaration.
_HTML = re.compile(
    r"(<\?xml.*?>|<!--.*?-->|\s)*<(!doctype\s+html|html|head|body|title|meta|script)\b", re.IGNORECASE | re.DOTALL
)
_BINARY = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


class ForeignFile(NamedTuple):
    """The type of a file in place of an archive, with its article, and the remedy, a sentence without full stop."""

    name: str
    remedy: str


def recognise(path: Path) -> ForeignFile | None:
    """Recognise a file that could not be read as an archive; None for a damaged archive and unknown types."""
    # It may not be readable at all, or its compressed bytes may be damaged.
    with suppress(OSError, EOFError, TarError, zlib.error, LZMAError), path.open("rb") as file:
        head = file.read(LONGEST_HEAD)
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        tail = file.read()
        file.seek(0)
        if not head:
            return ForeignFile("an empty file", _FETCH_AGAIN)
        if is_last_part(tail):
            return ForeignFile("the last part of a split zip", _JOIN)
        stream = DecompressedStream(file, ExtractionLimit())
        if stream.compression:
            found = _identify(stream.take(LONGEST_HEAD))
            return found and ForeignFile(f"{found.name} inside {stream.compression.name}", found.remedy)
        return None if other_type(head) is ZIP else _identify(head)
    return None


def _identify(head: bytes) -> ForeignFile | None:
    found = other_type(head)
    if found is TAR:
        return None
    if found:
        return ForeignFile(found.name, _REMEDIES.get(found, _PACK_ANEW))
    if photo := image_format(head):
        return ForeignFile(f"a single photo ({photo.name})", _GIVE_FOLDER)
    return _identify_text(head[:2000])


def _identify_text(head: bytes) -> ForeignFile | None:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    # An incremental decoder leaves out a character that is cut at the end.
    text = getincrementaldecoder(encoding)("replace").decode(head).lstrip()
    if not text or _BINARY.search(text):
        return None
    if _HTML.match(text):
        return ForeignFile("an HTML page", _OPEN_IN_BROWSER)
    if "\ufffd" in text:
        return None
    kind = {"<": "XML", "{": "JSON", "[": "JSON"}.get(text[0], "text")
    return ForeignFile(f"{kind} that begins with {text[:100].rstrip()!r}", _OPEN_IN_BROWSER)
