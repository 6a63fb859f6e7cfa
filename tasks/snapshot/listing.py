"""What a listing of photos is, and the rules by which a file is a photo: its name, or else its first bytes."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from tasks.artifacts import KEY_LENGTH

HIDDEN = "hidden"
LICENCE = "licence"
LINKED_FOLDER = "linked folder"
NAME_NOT_UTF8 = "name not UTF-8"
NOT_A_PHOTO = "not a photo"
NOT_REGULAR = "not a regular file"
OUTSIDE = "outside a label"
SYSTEM_FILE = "system file"
UNREADABLE = "unreadable"

_CLUTTER = {
    "license.txt": LICENCE,
    "thumbs.db": SYSTEM_FILE,
    "desktop.ini": SYSTEM_FILE,
    "__macosx": SYSTEM_FILE,
}
# HEIC and AVIF are photos that the decode stage cannot read: it says so of each, where silence would be a riddle.
_PHOTO_SUFFIX = re.compile(r"\.(jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif)\Z", re.IGNORECASE)
# Raw photos (the second line) begin as TIFF does, but what Pillow finds in them is only their thumbnail.
_OTHER_SUFFIX = re.compile(
    r"\.(txt|json|xml|csv|tsv|md|html?|pdf|mp4|mov|avi|zip|db|ini|log|py|ya?ml"
    r"|arw|cr2|dng|nef|nrw|orf|pef|rw2|srw)\Z",
    re.IGNORECASE,
)
#: How many first bytes of a file tell whether it is a photo.
HEAD = 16
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class File:
    """A photo's file, or object, as it was found.

    Args:
        path: Relative to the dataset's folder, `/`-separated.
        size: Bytes.
        mtime_ns: When it was last modified, in nanoseconds since 1970. A store tells whole seconds of an object; the
            digits below them are made of its ETag, so that one written anew within the second is seen as another.
    """

    path: str
    size: int
    mtime_ns: int

    @property
    def label(self) -> str:
        """Verbatim name of the first folder."""
        return self.path.partition("/")[0]


@dataclass(frozen=True)
class Listing:
    """What was found.

    Args:
        files: The photos, sorted by path. A folder without photos is not a label.
        ignored: How many entries were left out, by reason; an ignored folder counts as one.
        unclear: Of an object store: what has a name that tells nothing, and is no photo or has not been looked at yet.
    """

    files: tuple[File, ...]
    ignored: Mapping[str, int]
    unclear: tuple[File, ...] = ()

    def state(self) -> str:
        """Fingerprint all paths, sizes and mtimes: a source of the same state need not be read again.

        What is unclear counts too, whether it has been looked at or not.
        """
        files = by_path((*self.files, *self.unclear)) if self.unclear else self.files
        return fingerprint_rows((file.path, str(file.size), str(file.mtime_ns)) for file in files)


def by_path(files: Iterable[File]) -> tuple[File, ...]:
    """Sort files by path."""
    return tuple(sorted(files, key=attrgetter("path")))


def fingerprint_rows(rows: Iterable[Sequence[str]]) -> str:
    """Key rows of strings by their content and order.

    Args:
        rows: Strings without the NUL character, the last of each row without a line feed.

    Returns:
        The first 16 lower-case hex digits of the sha256 over all rows, with NUL between strings and a line feed after
        each row.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(("\0".join(row) + "\n").encode())
    return digest.hexdigest()[:KEY_LENGTH]


def unwanted_name(name: str) -> str | None:
    """Why whatever has that name is left out, a folder with all below it; None where its name is no reason."""
    if name.startswith("."):
        return HIDDEN
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return NAME_NOT_UTF8
    return _CLUTTER.get(name.lower())


def told_by_name(name: str) -> bool | None:
    """Whether a file is a photo by its suffix; None where the suffix tells nothing."""
    if _PHOTO_SUFFIX.search(name):
        return True
    return False if _OTHER_SUFFIX.search(name) else None


def begins_as_photo(head: bytes) -> bool:
    """Recognise JPEG, PNG, GIF, TIFF, WebP and BMP by the first `HEAD` bytes of a file."""
    if head.startswith(_MAGIC):
        return True
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    # Text may begin with BM too; a bitmap goes on with its size and four reserved zeros.
    return head.startswith(b"BM") and head[6:10] == bytes(4)
