"""A listing: the photos below a folder, and the entries that were ignored."""

import hashlib
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tasks.keys import KEY_LENGTH
from tasks.snapshot.ignored import Ignored, IgnoredSummary
from tasks.snapshot.photo_rules import NOT_A_PHOTO, PHOTO, kind_by_suffix


class PhotoFile(NamedTuple):
    """The file or object of a photo; files sort by path."""

    path: str  #: Path relative to the listed folder, `/`-separated.
    size: int  #: Bytes.
    #: Differs from that of every earlier file at this path: mtime, ctime and inode of a file; ETag, version and time of
    #: an object.
    version: str
    #: The newer of a file's mtime and ctime, in nanoseconds since 1970; None for an object, whose version shows every
    #: change, however soon it comes.
    changed_ns: int | None = None


@dataclass(frozen=True)
class Listing:
    """The photos below a folder."""

    files: tuple[PhotoFile, ...]  #: The photos, sorted by path. A folder without photos is not a label.
    ignored: Ignored = field(default_factory=Ignored)  #: Ignored entries, by reason.
    #: Objects of a store whose names do not tell their kind: not read yet, or read and no photos.
    unclear: tuple[PhotoFile, ...] = ()
    #: Parquet files, whose rows are the photos if there are no files of photos.
    tables: tuple[PhotoFile, ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether the photos are the rows of Parquet files."""
        return bool(self.tables) and not self.files

    def settle(self) -> "Listing":
        """Count Parquet files beside photos as ignored."""
        if not self.files or not self.tables:
            return self
        ignored = deepcopy(self.ignored)
        for table in self.tables:
            ignored.add(table.path, NOT_A_PHOTO)
        return replace(self, ignored=ignored, tables=())

    def summarise_ignored(self) -> IgnoredSummary:
        """Summarise the ignored entries."""
        return self.ignored.summarise(file.path for file in self.files)

    def state(self) -> str:
        """Fingerprint all paths, sizes and versions: photos of the same state need not be read again.

        Unclear objects count too, whether they have been read or not. Parquet files do unless a file beside them is a
        photo by its name.
        """
        tables = () if any(kind_by_suffix(file.path) == PHOTO for file in self.files) else self.tables
        files = sorted((*self.files, *self.unclear, *tables)) if self.unclear or tables else self.files
        return fingerprint_rows((file.path, str(file.size), file.version) for file in files)


def fingerprint_rows(rows: Iterable[Sequence[str]]) -> str:
    """Key rows of strings, which have no NUL and no line feed at their end, by their content and order.

    Returns:
        The first 16 lower-case hex digits of the sha256 over all rows, with NUL between strings and a line feed after
        each row.
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(("\0".join(row) + "\n").encode())
    return digest.hexdigest()[:KEY_LENGTH]
