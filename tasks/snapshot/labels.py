"""The names of labels: in one form of Unicode, however the names of folders are written."""

import unicodedata
from collections.abc import Sequence


def to_label(folder: str) -> str:
    """The label of a folder: its name in Unicode's form NFC.

    A letter with an accent can be one sign or two, the letter and its accent. People see no difference; macOS writes
    names in two signs, most other systems in one.
    """
    return unicodedata.normalize("NFC", folder)


def tell_merged(label: str, folders: Sequence[str]) -> str:
    """Say that several folders make one label.

    Args:
        label: The label.
        folders: Their names.
    """
    return (
        f"{label!r} is one label of {len(folders)} folders, whose names differ only in their form of Unicode: "
        f"{', '.join(map(ascii, folders))}"
    )
