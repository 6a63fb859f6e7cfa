"""A listing: the photos below a folder, and the entries that were ignored."""

import hashlib
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tasks.keys import KEY_LENGTH
from tasks.snapshot.ignored import Ignored, IgnoredSummary
from tasks.snapshot.photo_rules import NOT_A_PHOTO, OUTSIDE, PHOTO, kind_by_suffix


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
    #: Files whose names and places are those of tables of labels, see `photo_rules.is_label_table`.
    label_tables: tuple[PhotoFile, ...] = ()
    #: Parquet files, whose rows are the photos if there are no files of photos.
    parquet_files: tuple[PhotoFile, ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether the photos are the rows of Parquet files."""
        return bool(self.parquet_files) and not self.files

    def settle(self) -> "Listing":
        """Count Parquet files beside photos as ignored."""
        if not self.files or not self.parquet_files:
            return self
        ignored = deepcopy(self.ignored)
        for file in self.parquet_files:
            ignored.add(file.path, NOT_A_PHOTO)
        return replace(self, ignored=ignored, parquet_files=())

    def summarise_ignored(self) -> IgnoredSummary:
        """Summarise the ignored entries."""
        return self.ignored.summarise(file.path for file in self.files)

    def inside_folders(self) -> "Listing":
        """Leave out photos directly in the folder, as outside any label, and files called as tables of labels are."""
        ignored = deepcopy(self.ignored)
        for file in self.files:
            if "/" not in file.path:
                ignored.add(file.path, OUTSIDE)
        unread = [file for file in self.unclear if "/" not in file.path]
        for file in (*unread, *self.label_tables):
            ignored.add(file.path, NOT_A_PHOTO)
        files, unclear = (tuple(file for file in own if "/" in file.path) for own in (self.files, self.unclear))
        return replace(self, files=files, ignored=ignored, unclear=unclear, label_tables=())

    def state(self) -> str:
        """Fingerprint all paths, sizes and versions: photos of the same state need not be read again.

        Unclear objects count too, whether they have been read or not, and so do tables of labels. Parquet files
        do unless a file beside them is a photo by its name.
        """
        parquet = () if any(kind_by_suffix(file.path) == PHOTO for file in self.files) else self.parquet_files
        others = (*self.unclear, *self.label_tables, *parquet)
        files = sorted((*self.files, *others)) if others else self.files
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
