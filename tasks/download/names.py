"""The names that an archive gives its files: only such as mean one place, inside, on every machine."""

import os
import re
from pathlib import PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from tasks.download import limits
from tasks.download.legacy_names import NameDecoder, listed
from tasks.download.limits import ArchiveRejectedError

#: Folders above a file; removing what is nested deeper runs out of open files.
_MAX_DEPTH = 32
#: Bytes of one part of a name, and of all of it: what file systems take, with room for the data root before it.
_MAX_PART, _MAX_NAME = 255, 1024
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile("[A-Za-z]:")


class ArchiveFile(NamedTuple):
    """A file of an archive.

    Args:
        path: Where it is extracted to.
        size: Its bytes.
    """

    path: PurePosixPath
    size: int


class ArchiveNames:
    """All names of an archive so far; each may come once, however it is spelt.

    Names that differ only in case or in how Unicode composes their letters are one name on some machines, where the
    second file would take the place of the first. Only a folder may come in both forms of Unicode: it is one folder.
    """

    def __init__(self) -> None:
        self.decoder = NameDecoder()
        self._folders: dict[str, str] = {"": ""}
        self._files: dict[str, dict[str, tuple[str, int]]] = {"": {}}
        self._merged: dict[str, None] = {}
        self._count = 0

    def notes(self) -> list[str]:
        """What the user has to know of the names, in sentences."""
        notes = [guessed] if (guessed := self.decoder.note()) else []
        if self._merged:
            notes.append(
                f"{len(self._merged):,} of its folders come in both forms of Unicode, composed and decomposed (NFC and "
                f"NFD), and were made one each: {listed(self._merged)}."
            )
        return notes

    def add_file(self, name: str, size: int = 0) -> PurePosixPath:
        """Take a file's name.

        Args:
            name: Its name.
            size: Its bytes.

        Returns:
            Where it is extracted to.

        Raises:
            Refused: The name leads out of the folder, is none on some machine, or was there before.
        """
        path = _path(name)
        if not path.name:
            raise ArchiveRejectedError(f"its member {name!r} names no file")
        key, folder = self._add_folders(path.parent)
        spelt = _fold(path.name)
        files = self._files[key]
        other = files[spelt][0] if spelt in files else self._folders.get(f"{key}/{spelt}")
        if other is not None:
            raise _collision(str(folder / other), str(path))
        files[spelt] = path.name, size
        self._counted()
        return folder / path.name

    def add_folder(self, name: str) -> None:
        """Take a folder's name; a folder may come several times, and `/` means the folder of them all.

        Raises:
            Refused: As of a file.
        """
        if name.strip("/"):
            self._add_folders(_path(name))

    def find(self, name: str) -> ArchiveFile | None:
        """The file that a name of a link means; None where no such file came so far."""
        path = PurePosixPath(name)
        above, folder = "", PurePosixPath()
        for part in path.parts[:-1]:
            above += f"/{_fold(part)}"
            folder /= self._folders.get(above, "")
        found = self._files.get(above, {}).get(_fold(path.name))
        if found is None or not _same(str(folder / found[0]), str(path)):
            return None
        return ArchiveFile(folder / found[0], found[1])

    def _add_folders(self, path: PurePosixPath) -> tuple[str, PurePosixPath]:
        """Take a folder and those above it; returns its name as it is compared, and as it was first spelt."""
        above, folder = "", PurePosixPath()
        for depth, part in enumerate(path.parts):
            spelt = _fold(part)
            own = f"{above}/{spelt}"
            verbatim = self._folders.get(own)
            if verbatim is None:
                if spelt in self._files[above]:
                    raise _collision(str(folder / self._files[above][spelt][0]), str(path))
                self._folders[own] = verbatim = part
                self._files[own] = {}
                self._counted()
            elif verbatim != part:
                if not _same(verbatim, part):
                    raise _collision(str(PurePosixPath(*path.parts[:depth]) / verbatim), str(path))
                self._merged[str(folder / verbatim)] = None
            above, folder = own, folder / verbatim
        return above, folder

    def _counted(self) -> None:
        self._count += 1
        if self._count > limits.MAX_FILES:
            raise ArchiveRejectedError(
                f"it holds more than {limits.MAX_FILES:,} files and folders, the most that are extracted"
            )


def _same(one: str, other: str) -> bool:
    """Whether two names are one but for the form of Unicode."""
    return one == other or normalize("NFC", one) == normalize("NFC", other)


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        raise ArchiveRejectedError(f"its member {_short(name)} would leave the folder that it is extracted to")
    if _CONTROL.search(name) or "\\" in name:
        raise ArchiveRejectedError(f"its member {_short(name)} has a backslash or a control character in its name")
    try:
        longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    except UnicodeEncodeError as exc:
        raise ArchiveRejectedError(f"its member {_short(name)} has a name that is no text") from exc
    if longest > _MAX_PART or len(os.fsencode(name)) > _MAX_NAME or len(path.parts) > _MAX_DEPTH:
        raise ArchiveRejectedError(
            f"its member {_short(name)} has too long a name: {_MAX_PART} bytes a part, {_MAX_NAME:,} in all and "
            f"{_MAX_DEPTH} parts are the most"
        )
    return path


def _fold(part: str) -> str:
    """How a name is compared: as Unicode matches without regard to case (its section 3.13, D145)."""
    folded = part.lower() if part.isascii() else normalize("NFC", normalize("NFD", part).casefold())
    # One string for both spares a third of the memory that a million names take.
    return part if folded == part else folded


def _collision(one: str, other: str) -> ArchiveRejectedError:
    if one == other:
        return ArchiveRejectedError(f"its member {_short(one)} comes twice")
    if _same(one, other):
        return ArchiveRejectedError(
            f"its members {_short(one)} and {_short(other)} have one name in two forms of Unicode (NFC, NFD)"
        )
    return ArchiveRejectedError(
        f"its members {_short(one)} and {_short(other)} have one name where case or accents do not count"
    )


def _short(name: str) -> str:
    return repr(name if len(name) <= 200 else f"{name[:200]}…")
