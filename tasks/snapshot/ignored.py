"""Files and folders that a listing leaves out: counted by reason, with examples, and told where that may surprise."""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.events import escape_control_characters
from tasks.snapshot.ignored_names import HIDDEN, LICENCE, NAME_NOT_UTF8, SYSTEM_FILE

LINKED_FOLDER = "linked folder"
NOT_A_PHOTO = "not a photo"
NOT_REGULAR = "not a regular file"
OUTSIDE = "outside a label"
RAW_PHOTO = "raw photo"
UNREADABLE = "unreadable"
UNSUPPORTED = "unsupported image format"
VIDEO = "video"

#: Paths that are named of each reason.
EXAMPLES = 3
#: Folders without photos that are kept, and that are told one by one.
_KEPT_FOLDERS, _TOLD_FOLDERS = 10, 3
#: Nobody misses these: a folder with nothing else in it is empty.
_CLUTTER = {HIDDEN, LICENCE, SYSTEM_FILE}


class _Words(NamedTuple):
    """How a reason is told: of one entry, of several, and what to do; without a remedy only the report tells it."""

    one: str
    several: str
    remedy: str = ""


_WORDS = {
    HIDDEN: _Words("hidden entry", "hidden entries"),
    LICENCE: _Words("licence", "licences"),
    LINKED_FOLDER: _Words("linked folder", "linked folders", "put the photos themselves there"),
    NAME_NOT_UTF8: _Words("name that is not UTF-8", "names that are not UTF-8", "rename in UTF-8"),
    NOT_A_PHOTO: _Words("file that is no photo", "files that are no photos"),
    NOT_REGULAR: _Words("entry that is no file", "entries that are no files", "mend or delete broken links"),
    OUTSIDE: _Words("photo outside a label", "photos outside a label", "move into a folder named after the label"),
    RAW_PHOTO: _Words("raw photo", "raw photos", "convert to JPEG"),
    SYSTEM_FILE: _Words("system file or folder", "system files or folders"),
    UNREADABLE: _Words("unreadable file", "unreadable files", "mend the permissions"),
    UNSUPPORTED: _Words("image in an unsupported format", "images in unsupported formats", "convert to JPEG or PNG"),
    VIDEO: _Words("video", "videos"),
}


class IgnoredRow(NamedTuple):
    """Entries that were left out for one reason.

    Args:
        reason: Why, in a few words.
        entries: How many; an ignored folder counts as one.
        examples: The first paths; that of a folder ends with a `/`.
        remedy: What lets them count, in a few words; empty where nobody misses them.
    """

    reason: str
    entries: int
    examples: Sequence[str]
    remedy: str


class FolderRow(NamedTuple):
    """A first-level folder that has files but no photo.

    Args:
        path: Its name, with a `/` at its end.
        files: How many entries it has.
        reasons: The same by reason, in words.
    """

    path: str
    files: int
    reasons: str


@dataclass(frozen=True)
class IgnoredSummary:
    r"""What was left out, in a size that a manifest can hold.

    Args:
        counts: How many entries, by reason.
        examples: The first paths of each reason. Bytes of a name that are not UTF-8 are written as `\xe9`.
        folders: First-level folders that have files but no photo: their entries by reason. The first ones only.
        more_folders: How many more such folders there are.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    folders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    more_folders: int = 0

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "IgnoredSummary":
        """Read what `details` wrote; an earlier version of this project wrote the counts only."""
        folders = details.get("folders_without_photos", {})
        return cls(
            details.get("ignored", {}),
            details.get("ignored_examples", {}),
            folders.get("first", {}),
            folders.get("more", 0),
        )

    def details(self) -> dict[str, Any]:
        """What manifests and records keep of it."""
        return {
            "ignored": dict(self.counts),
            "ignored_examples": {reason: list(paths) for reason, paths in self.examples.items()},
            "folders_without_photos": {
                "first": {name: dict(counts) for name, counts in self.folders.items()},
                "more": self.more_folders,
            },
        }

    def rows(self) -> list[IgnoredRow]:
        """All that was left out, what has a remedy first."""
        rows = [
            IgnoredRow(reason, count, self.examples.get(reason, ()), _WORDS[reason].remedy if reason in _WORDS else "")
            for reason, count in self.counts.items()
        ]
        return sorted(rows, key=lambda row: (not row.remedy, row.reason))

    def tell(self) -> list[str]:
        """A line for each reason that has a remedy, safe to be shown on a terminal."""
        return [
            f"{_counted(row.reason, row.entries)} ({row.remedy}){_named(row.examples, row.entries)}"
            for row in self.rows()
            if row.remedy
        ]

    def tell_folders(self) -> list[str]:
        """A line for each first-level folder without a photo, likewise; the last one counts the others."""
        lines = [
            f"{escape_control_characters(row.path)} has {_files(row.files)}, none of them a photo that is read here "
            f"({row.reasons})"
            for row in self.folder_rows()[:_TOLD_FOLDERS]
        ]
        more = len(self.folders) + self.more_folders - len(lines)
        return [*lines, f"and {more:,} more such folders" if more > 1 else "and 1 more such folder"] if more else lines

    def lines(self, folder: str = "No label") -> list[tuple[str, str]]:
        """All lines, each after the word that it begins with.

        Args:
            folder: How the lines on folders without a photo begin.
        """
        return [("Ignored", line) for line in self.tell()] + [(folder, line) for line in self.tell_folders()]

    def folder_rows(self) -> list[FolderRow]:
        """The first-level folders without a photo."""
        return [
            FolderRow(f"{name}/", sum(counts.values()), ", ".join(_counted(*item) for item in sorted(counts.items())))
            for name, counts in self.folders.items()
        ]

    def explain(self) -> str:
        """Both as the end of an error's sentence; empty where there is nothing to tell."""
        told = "; ".join((*self.tell(), *self.tell_folders()))
        return f" Ignored: {told}." if told else ""

    def below(self, folder: str) -> "IgnoredSummary":
        """The same with paths from further up."""
        return IgnoredSummary(
            self.counts,
            {reason: [f"{folder}/{path}" for path in paths] for reason, paths in self.examples.items()},
            {f"{folder}/{name}": counts for name, counts in self.folders.items()},
            self.more_folders,
        )


def merge_ignored(summaries: Collection[IgnoredSummary]) -> IgnoredSummary:
    """What several listings left out, together."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    folders: dict[str, Mapping[str, int]] = {}
    for summary in summaries:
        counts.update(summary.counts)
        folders.update(summary.folders)
        for reason, paths in summary.examples.items():
            examples[reason] = sorted({*examples.get(reason, ()), *paths})[:EXAMPLES]
    more = sum(summary.more_folders for summary in summaries)
    return _summary(counts, examples, folders, more)


@dataclass
class Ignored:
    """What a listing leaves out, while it is made.

    Args:
        counts: How many entries were left out, by reason; an ignored folder counts as one.
        examples: Of each reason the first paths in their order, whatever order they are found in.
        folders: The same counts for each first-level folder.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, path: str, reason: str) -> None:
        """Count an entry.

        Args:
            path: Its path within the dataset, with a `/` at its end where it is a folder.
            reason: Why it is left out.
        """
        self.counts[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES or path < examples[-1]:
            insort(examples, path)
            del examples[EXAMPLES:]
        folder, _, below = path.partition("/")
        if below:
            self.folders.setdefault(folder, Counter())[reason] += 1

    def summarise(self, photos: Iterable[str]) -> IgnoredSummary:
        """Keep what a manifest can hold.

        Args:
            photos: Paths of the photos; a folder with one of them is not without.
        """
        used = {path.partition("/")[0] for path in photos}
        without = {
            name: dict(sorted(counts.items()))
            for name, counts in self.folders.items()
            if name not in used and not counts.keys() <= _CLUTTER
        }
        return _summary(self.counts, self.examples, without, 0)


def _summary(
    counts: Mapping[str, int],
    examples: Mapping[str, Sequence[str]],
    folders: Mapping[str, Mapping[str, int]],
    more: int,
) -> IgnoredSummary:
    first = sorted(folders)[:_KEPT_FOLDERS]
    return IgnoredSummary(
        dict(sorted(counts.items())),
        {reason: [_readable(path) for path in paths] for reason, paths in sorted(examples.items())},
        {name: folders[name] for name in first},
        more + len(folders) - len(first),
    )


def _readable(path: str) -> str:
    r"""Write a path so that JSON, Parquet and a terminal take it: bytes that are not UTF-8 as `\xe9`."""
    try:
        return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return path.encode(errors="backslashreplace").decode()


def _counted(reason: str, count: int) -> str:
    words = _WORDS.get(reason, _Words(reason, reason))
    return f"{count:,} {words.one if count == 1 else words.several}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _named(examples: Sequence[str], count: int) -> str:
    if not examples:
        return ""
    more = f" and {count - len(examples):,} more" if count > len(examples) else ""
    return f": {', '.join(map(escape_control_characters, examples))}{more}"
