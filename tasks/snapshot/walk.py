"""Which files of a dataset are photos: a walk over `<label>/**/<file>` that opens almost none of them."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from tasks.artifacts import KEY_LENGTH
from tasks.errors import DatasetError
from tasks.snapshot.opening import open_photo

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
_HEAD = 16
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class File:
    """A photo's file as the walk found it.

    Args:
        path: Relative to the dataset's folder, `/`-separated.
        size: Bytes.
        mtime_ns: When it was last modified, in nanoseconds since 1970.
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
    """What a walk found.

    Args:
        files: The photos, sorted by path. A folder without photos is not a label.
        ignored: How many entries were left out, by reason; an ignored folder counts as one.
    """

    files: tuple[File, ...]
    ignored: Mapping[str, int]

    def state(self) -> str:
        """Fingerprint all paths, sizes and mtimes: a source of the same state need not be read again."""
        return fingerprint_rows((file.path, str(file.size), str(file.mtime_ns)) for file in self.files)


def list_files(root: Path, *, labelled: bool = True) -> Listing:
    """List the photos below a folder, such as a dataset's.

    Links to files are followed, and a label may be a link to a folder; linked folders deeper down are left out, since
    they may lead in a circle. A file is a photo by its suffix or, where the suffix tells nothing, by its first bytes.

    Args:
        root: The folder.
        labelled: Whether each photo must be in a label's folder; otherwise those beside the folders count too.

    Raises:
        DatasetError: The folder is missing or is none, or a folder below it cannot be read.
    """
    found = _Found(labelled)
    while found.folders:
        folder = found.folders.pop()
        try:
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    found.add(entry, folder)
        except (FileNotFoundError, NotADirectoryError) as exc:
            if not folder:
                raise DatasetError(
                    f"There is no folder of photos at {root} ({exc.strerror}). "
                    f"Give a folder that holds {'one folder a label' if labelled else 'photos'}."
                ) from exc
        except OSError as exc:
            raise DatasetError(
                f"The folder {root / folder} cannot be read ({exc.strerror}). "
                "Let this user read and enter it (chmod u+rx), or move it out of the dataset."
            ) from exc
    return Listing(tuple(sorted(found.files, key=attrgetter("path"))), dict(sorted(found.ignored.items())))


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


@dataclass
class _Found:
    """What a walk has found so far.

    Args:
        labelled: Whether files beside the labels' folders are left out.
        files: The photos.
        ignored: Entries left out, by reason.
        folders: Those still to be read: the root as "", all others with a `/` at their end.
    """

    labelled: bool = True
    files: list[File] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=lambda: [""])

    def add(self, entry: os.DirEntry[str], folder: str) -> None:
        reason = _unwanted_name(entry.name)
        if reason is None:
            status = _follow(entry)
            if status is None:
                # A broken link; any other entry without a status vanished since the folder was read.
                reason = NOT_REGULAR if entry.is_symlink() else None
            elif stat.S_ISDIR(status.st_mode):
                reason = self._enter(entry, folder)
            else:
                outside = self.labelled and not folder
                reason = _unwanted_file(entry, status, outside=outside)
                if reason is None:
                    self.files.append(File(folder + entry.name, status.st_size, status.st_mtime_ns))
        if reason is not None:
            self.ignored[reason] += 1

    def _enter(self, entry: os.DirEntry[str], folder: str) -> str | None:
        if (folder or not self.labelled) and entry.is_symlink():
            return LINKED_FOLDER
        self.folders.append(f"{folder}{entry.name}/")
        return None


def _unwanted_name(name: str) -> str | None:
    if name.startswith("."):
        return HIDDEN
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return NAME_NOT_UTF8
    return _CLUTTER.get(name.lower())


def _follow(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Status of what an entry is or links to; None where that is not there."""
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
    except OSError:
        if entry.is_symlink():
            return None
        raise


def _unwanted_file(entry: os.DirEntry[str], status: os.stat_result, *, outside: bool) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return NOT_REGULAR
    if outside:
        return OUTSIDE
    if _PHOTO_SUFFIX.search(entry.name):
        return None
    if _OTHER_SUFFIX.search(entry.name):
        return NOT_A_PHOTO
    try:
        with open_photo(Path(entry)) as file:
            return None if _begins_as_photo(file.read(_HEAD)) else NOT_A_PHOTO
    except OSError:
        return UNREADABLE


def _begins_as_photo(head: bytes) -> bool:
    """Recognise JPEG, PNG, GIF, TIFF, WebP and BMP by the first 16 bytes of a file."""
    if head.startswith(_MAGIC):
        return True
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    # Text may begin with BM too; a bitmap goes on with its size and four reserved zeros.
    return head.startswith(b"BM") and head[6:10] == bytes(4)
