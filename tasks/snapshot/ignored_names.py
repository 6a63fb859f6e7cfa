"""Names that no photo has: hidden files, and thumbnails, recycle bins and notes of systems, NAS and photo programs."""

import re

HIDDEN = "hidden"
LICENCE = "licence"
NAME_NOT_UTF8 = "name not UTF-8"
SYSTEM_FILE = "system file"

# In lower case. Whole names only, and none that is a plain word: a label `recycle` is a label. Names that begin with a
# dot (.DS_Store, ._x, .@__thumb, .AppleDouble, .picasaoriginals, .thumbnails, .Trash-1000) are hidden anyway.
_SYSTEM_NAMES = frozenset(
    {
        # Windows
        "$recycle.bin",
        "desktop.ini",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "system volume information",
        "thumbs.db",
        # macOS, and what it writes to a server
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        "thefindbyfilecontentfolder",
        "thevolumesettingsfolder",
        # Unix
        "lost+found",
        # Synology
        "#recycle",
        "#snapshot",
        "@eadir",
        "@sharebin",
        "@sharesnap",
        "@tmp",
        # QNAP
        "@__thumb",
        "@recently-snapshot",
        "@recycle",
        "@transcode",
        # NetApp
        "~snapshot",
        # Picasa
        "picasa.ini",
    }
)
# Synology's thumbnails and attributes of one file each, and what Windows saves of a damaged disk.
_SYSTEM_PATTERN = re.compile(
    r"syno(file|photo|video)_(thumb|film).*|.*@syno(eastream|resource)|found\.\d{3}", re.IGNORECASE | re.DOTALL
)
#: Old Windows writes its recycle bin in capitals; in any other case it is a word that may be a label.
_RECYCLE_BIN = "RECYCLER"


def unwanted_name(name: str) -> str | None:
    """Why a file or a folder of that name is left out, a folder with all below it.

    Args:
        name: One part of a path.

    Returns:
        The reason, or None where the name is none.
    """
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
