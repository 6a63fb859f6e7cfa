"""What a listing of photos is, and the rules by which a file is a photo: its name, or else its first bytes."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from tasks.file_types import image_format
from tasks.keys import KEY_LENGTH
from tasks.snapshot.ignored import NOT_A_PHOTO, RAW_PHOTO, UNSUPPORTED, VIDEO, Ignored, IgnoredSummary
from tasks.snapshot.labels import to_label

#: What a suffix says of a file that has it. HEIC and AVIF are photos that the decode stage cannot read: it says so of
#: each of them.
PHOTO = "photo"
_SUFFIXES = {
    PHOTO: "jpg jpeg jpe jfif png webp gif bmp tif tiff heic heif avif ppm pgm pbm pnm jp2 j2k j2c jpc jpf jpx",
    # They begin as TIFF does, but Pillow finds only a thumbnail in them.
    RAW_PHOTO: "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f",
    UNSUPPORTED: "jxl jxr psd psb xcf svg svgz ico icns exr hdr tga dds pcx eps ai pam pfm bpg flif",
    VIDEO: "mp4 m4v mov avi mkv webm wmv mpg mpeg mts m2ts 3gp flv ogv",
    NOT_A_PHOTO: "txt json jsonl xml csv tsv md rst htm html pdf doc docx xls xlsx zip tar gz tgz 7z rar db sqlite "
    "ini log py ipynb sh yaml yml toml cfg xmp aae npy npz pt pth pkl h5 mat parquet arrow tfrecord mp3 m4a wav flac",
}
_BY_SUFFIX = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo's file, or object, as it was found.

    Args:
        path: Relative to the dataset's folder, `/`-separated.
        size: Bytes.
        version: Tells it from what was at its path before: a file's mtime, ctime and inode, an object's ETag, version
            and time.
        changed_ns: The newer of a file's mtime and ctime, in nanoseconds since 1970; None of an object, whose version
            tells every change, however soon it comes.
    """

    path: str
    size: int
    version: str
    changed_ns: int | None = None

    @property
    def label(self) -> str:
        """Name of the first folder, in Unicode's form NFC."""
        return to_label(self.path.partition("/")[0])


@dataclass(frozen=True)
class Listing:
    """What was found.

    Args:
        files: The photos, sorted by path. A folder without photos is not a label.
        ignored: Entries that were left out, by reason.
        unclear: Of an object store: what has a name that tells nothing, and is no photo or has not been looked at yet.
    """

    files: tuple[PhotoFile, ...]
    ignored: Ignored = field(default_factory=Ignored)
    unclear: tuple[PhotoFile, ...] = ()

    def left_out(self) -> IgnoredSummary:
        """Summarise what was left out."""
        return self.ignored.summarise(file.path for file in self.files)

    def state(self) -> str:
        """Fingerprint all paths, sizes and versions: a source of the same state need not be read again.

        What is unclear counts too, whether it has been looked at or not.
        """
        files = by_path((*self.files, *self.unclear)) if self.unclear else self.files
        return fingerprint_rows((file.path, str(file.size), file.version) for file in files)


def by_path(files: Iterable[PhotoFile]) -> tuple[PhotoFile, ...]:
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


def kind_by_suffix(name: str) -> str | None:
    """What a file is by its suffix: `PHOTO`, or the reason why it is none; None where the suffix tells nothing."""
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(suffix.lower()) if dot else None


def is_photo_suffix(name: str) -> bool | None:
    """Whether a file is a photo by its suffix; None where the suffix tells nothing."""
    kind = kind_by_suffix(name)
    return None if kind is None else kind == PHOTO


def unwanted_head(head: bytes, name: str) -> str | None:
    """Why a file is left out by its first bytes; None for those of a format that the decode stage reads.

    Args:
        head: The first `HEAD` bytes of the file, or all that it has.
        name: Its name, which says what else it may be.
    """
    found = image_format(head)
    if found is None:
        return kind_by_suffix(name) or NOT_A_PHOTO
    return None if found.pillow else UNSUPPORTED
