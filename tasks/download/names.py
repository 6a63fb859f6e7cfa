"""Names of an archive's members: each means one place, inside the folder, on every machine."""

import os
import re
from pathlib import PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from tasks.download import limits
from tasks.download.legacy_names import NameDecoder, join_examples
from tasks.download.limits import ArchiveRejectedError

#: Folders above a file; removing deeper trees runs out of open files.
_MAX_DEPTH = 32
#: Most bytes of one part of a name, and of all of it: the limits of file systems, less room for the data root.
_MAX_PART, _MAX_NAME = 255, 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile("[A-Za-z]:")


class ArchiveEntry(NamedTuple):
    """The path that a file or folder is extracted to, and the bytes of a file; None of a folder."""

    path: str
    size: int | None = None


class ArchiveNames:
    """The names of an archive's members so far; each may come once, however it is spelt.

    Names that differ only in case or in how Unicode composes their letters are one name on some machines, where the
    second file would replace the first. Only a folder may come in both forms of Unicode: it is one folder.
    """

    def __init__(self) -> None:
        self.decoder = NameDecoder()
        # By their name in lower case and one form of Unicode.
        self._entries: dict[str, ArchiveEntry] = {}
        self._merged_folders: dict[str, None] = {}

    def notes(self) -> list[str]:
        """Return notes for the user on the names, in sentences."""
        notes = [note] if (note := self.decoder.note()) else []
        if self._merged_folders:
            notes.append(
                f"{len(self._merged_folders):,} of its folders come in both forms of Unicode, composed and decomposed "
                f"(NFC and NFD), and were made one each: {join_examples(self._merged_folders)}."
            )
        return notes

    def add_file(self, name: str, size: int = 0) -> str:
        """Add a file, and return the path that it is extracted to.

        Raises:
            ArchiveRejectedError: The name leads out of the folder, is invalid on some machine, or came before.
        """
        path = _checked(name)
        if not path.name:
            raise ArchiveRejectedError(f"its member {name!r} names no file")
        place = f"{self._add_folder(path.parent)}{path.name}"
        key = _fold(str(path))
        if key in self._entries:
            raise _collision(self._entries[key].path, str(path))
        return self._add(key, ArchiveEntry(place, size)).path

    def add_folder(self, name: str) -> None:
        """Add a folder, which may come several times; `/` means the folder of them all.

        Raises:
            ArchiveRejectedError: As for a file.
        """
        if name.strip("/"):
            self._add_folder(_checked(name))

    def find(self, name: str) -> ArchiveEntry | None:
        """Find the file that a hard link names; None where no such file came so far."""
        entry = self._entries.get(_fold(str(PurePosixPath(name))))
        return entry if entry and entry.size is not None and _same(entry.path, str(PurePosixPath(name))) else None

    def _add_folder(self, path: PurePosixPath) -> str:
        """Add a folder and those above it; returns its path as it was first spelt, with a slash at the end."""
        if not path.name:
            return ""
        place = f"{self._add_folder(path.parent)}{path.name}"
        key = _fold(str(path))
        entry = self._entries.get(key) or self._add(key, ArchiveEntry(place))
        if entry.size is not None or not _same(entry.path, str(path)):
            raise _collision(entry.path, str(path))
        if entry.path != place:
            self._merged_folders[entry.path] = None
        return f"{entry.path}/"

    def _add(self, key: str, entry: ArchiveEntry) -> ArchiveEntry:
        # One string for both spares much of the memory that a million names take.
        self._entries[entry.path if key == entry.path else key] = entry
        if len(self._entries) > limits.MAX_FILES:
            raise ArchiveRejectedError(
                f"it holds more than {limits.MAX_FILES:,} files and folders, the most that are extracted"
            )
        return entry


def _same(one: str, other: str) -> bool:
    """Whether two names differ at most in the form of Unicode."""
    return one == other or normalize("NFC", one) == normalize("NFC", other)


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        raise ArchiveRejectedError(f"its member {_short(name)} would leave the folder that it is extracted to")
    if _CONTROL.search(name) or "\\" in name:
        raise ArchiveRejectedError(f"its member {_short(name)} has a backslash or a control character in its name")
    try:
        longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    except UnicodeEncodeError as exc:
        raise ArchiveRejectedError(f"its member {_short(name)} has a name that is not Unicode text") from exc
    if longest > _MAX_PART or len(os.fsencode(name)) > _MAX_NAME or len(path.parts) > _MAX_DEPTH:
        raise ArchiveRejectedError(
            f"its member {_short(name)} has too long a name: {_MAX_PART} bytes a part, {_MAX_NAME:,} in all and "
            f"{_MAX_DEPTH} parts are the most"
        )
    return path


def _fold(name: str) -> str:
    """Fold a name for a caseless match (Unicode 3.13, D145)."""
    return name.lower() if name.isascii() else normalize("NFC", normalize("NFD", name).casefold())


def _collision(one: str, other: str) -> ArchiveRejectedError:
    if one == other:
        return ArchiveRejectedError(f"its member {_short(one)} comes twice")
    forms = "in two forms of Unicode (NFC, NFD)" if _same(one, other) else "where case or accents do not count"
    return ArchiveRejectedError(f"its members {_short(one)} and {_short(other)} have one name {forms}")


def _short(name: str) -> str:
    return repr(name if len(name) <= 200 else f"{name[:200]}…")
