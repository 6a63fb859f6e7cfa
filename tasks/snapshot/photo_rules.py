"""Rules by which a file is a photo: its name, its suffix, or else its first bytes."""

import re

from tasks.file_types import image_format

#: The kind of a file that is a photo. HEIC and AVIF count too: the decode stage rejects each of them with a reason.
PHOTO = "photo"
#: Reasons to ignore a file or folder.
HIDDEN = "hidden"
LICENCE = "licence"
LINKED_FOLDER = "linked folder"
NAME_NOT_UTF8 = "name not UTF-8"
NOT_A_PHOTO = "not a photo"
NOT_REGULAR = "not a regular file"
NO_IMAGE = "row without an image"
NO_LABEL = "photo without a label"
OUTSIDE = "outside a label"
RAW_PHOTO = "raw photo"
SYSTEM_FILE = "system file"
UNREADABLE = "unreadable"
UNSUPPORTED = "unsupported image format"
VIDEO = "video"

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

# In lower case. Whole names only, and no plain words: a label may be called `recycle`. Names that begin with a dot
# (.DS_Store, ._x, .@__thumb, .AppleDouble, .picasaoriginals, .thumbnails, .Trash-1000) are hidden anyway.
_SYSTEM_NAMES = {
    # Windows
    *("$recycle.bin", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "system volume information", "thumbs.db"),
    # macOS, on its own disks and on servers
    *("__macosx", "icon\r", "network trash folder", "temporary items"),
    *("thefindbyfilecontentfolder", "thevolumesettingsfolder"),
    # Synology
    *("#recycle", "#snapshot", "@eadir", "@sharebin", "@sharesnap", "@tmp"),
    # QNAP
    *("@__thumb", "@recently-snapshot", "@recycle", "@transcode"),
    # Unix, NetApp, Picasa
    *("lost+found", "~snapshot", "picasa.ini"),
}
# Thumbnails and attributes of single files on Synology, and fragments that Windows saves from a damaged disk.
_SYSTEM_PATTERN = re.compile(
    r"syno(file|photo|video)_(thumb|film).*|.*@syno(eastream|resource)|found\.\d{3}", re.IGNORECASE | re.DOTALL
)
#: Old Windows writes its recycle bin in capitals; in any other case the word may be a label.
_RECYCLE_BIN = "RECYCLER"


#: Names of the tables of labels that lie beside photos, as Hugging Face's ImageFolder reads them.
LABEL_TABLES = frozenset({"metadata.csv", "metadata.jsonl", "metadata.parquet"})


def is_label_table(path: str) -> bool:
    """Whether a file is called as a table of labels, and lies in the dataset's folder or in that of a split."""
    folder, _, name = path.rpartition("/")
    if name not in LABEL_TABLES or not folder:
        return name in LABEL_TABLES
    # It imports Arrow, which a run with nothing to do should not need.
    from tasks.snapshot.given_splits import to_split  # noqa: PLC0415

    return to_split(folder) is not None


def ignored_by_name(name: str) -> str | None:
    """Reason to ignore a file, or a folder with everything below it, by its name; None without a reason."""
    if name.startswith("."):
        return HIDDEN
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            return NAME_NOT_UTF8
    lower = name.lower()
    if lower in _SYSTEM_NAMES or name == _RECYCLE_BIN or _SYSTEM_PATTERN.fullmatch(name):
        return SYSTEM_FILE
    return LICENCE if lower == "license.txt" else None


def kind_by_suffix(name: str) -> str | None:
    """Kind of a file by its suffix: `PHOTO`, or the reason to ignore it; None for an unknown suffix."""
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(suffix.lower()) if dot else None


def ignored_by_head(head: bytes, name: str) -> str | None:
    """Reason to ignore a file by its first `HEAD` bytes, or by its suffix if it is no image; None for a photo."""
    found = image_format(head)
    if found is None:
        return kind_by_suffix(name) or NOT_A_PHOTO
    return None if found.pillow else UNSUPPORTED
