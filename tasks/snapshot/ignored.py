"""Ignored files and folders: counted by reason, with examples, and reported where a user may miss them."""

from bisect import insort
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tasks.events import escape_control_characters
from tasks.snapshot import photo_rules as rules
from tasks.snapshot.parquet.row_paths import find_row

#: Paths kept as examples of each reason.
EXAMPLES = 3
#: Folders without photos that a manifest names, and that the last lines of a run name.
_KEPT_FOLDERS, _NAMED_FOLDERS = 10, 3
#: Nobody misses these: a folder with nothing else in it is empty.
_CLUTTER = {rules.HIDDEN, rules.LICENCE, rules.SYSTEM_FILE}


class _Words(NamedTuple):
    """Words for one entry and for several, and the remedy; without a remedy, only the report shows the entries."""

    one: str
    several: str
    remedy: str = ""


_WORDS = {
    rules.HIDDEN: _Words("hidden entry", "hidden entries"),
    rules.LICENCE: _Words("licence", "licences"),
    rules.LINKED_FOLDER: _Words("linked folder", "linked folders", "put the photos themselves there"),
    rules.NAME_NOT_UTF8: _Words("name that is not UTF-8", "names that are not UTF-8", "rename in UTF-8"),
    rules.NOT_A_PHOTO: _Words("file that is no photo", "files that are no photos"),
    rules.NOT_REGULAR: _Words("entry that is no file", "entries that are no files", "mend or delete broken links"),
    rules.NO_IMAGE: _Words("row without an image", "rows without an image", "embed the images in the Parquet files"),
    rules.NO_LABEL: _Words("photo without a label", "photos without a label", "give them labels, or remove them"),
    rules.OUTSIDE: _Words(
        "photo outside a label",
        "photos outside a label",
        "move into a folder named after the label, or give labels by --labels or metadata.csv",
    ),
    rules.RAW_PHOTO: _Words("raw photo", "raw photos", "convert to JPEG"),
    rules.SYSTEM_FILE: _Words("system file or folder", "system files or folders"),
    rules.UNREADABLE: _Words("unreadable file", "unreadable files", "mend the permissions"),
    rules.UNSUPPORTED: _Words(
        "image in an unsupported format", "images in unsupported formats", "convert to JPEG or PNG"
    ),
    rules.VIDEO: _Words("video", "videos"),
}


class IgnoredRow(NamedTuple):
    """Entries that were ignored for one reason."""

    reason: str  #: The reason, one of `_WORDS`.
    entries: int  #: Number of entries; an ignored folder counts as one.
    examples: Sequence[str]  #: The first paths; that of a folder ends with a `/`.
    remedy: str  #: The remedy that lets them count, in a few words; empty if nobody misses them.


@dataclass(frozen=True)
class IgnoredSummary:
    """Ignored entries, in a size that a manifest can hold."""

    counts: Mapping[str, int] = field(default_factory=dict)  #: Number of entries, by reason.
    #: The first paths of each reason. Bytes of a name that are not UTF-8 are written as `\xe9`.
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: The first of the first-level folders that have files but no photo: their entries by reason.
    folders: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    more_folders: int = 0  #: Number of further such folders.

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "IgnoredSummary":
        """Read the output of `details`; an earlier version of this project wrote the counts only."""
        counts, examples = (details.get(name, {}) for name in ("ignored", "ignored_examples"))
        folders = details.get("folders_without_photos", {})
        return cls(counts, examples, folders.get("first", {}), folders.get("more", 0))

    def details(self) -> dict[str, Any]:
        """Convert to the details of manifests and records."""
        folders = {"first": self.folders, "more": self.more_folders}
        return {"ignored": self.counts, "ignored_examples": self.examples, "folders_without_photos": folders}

    def rows(self) -> list[IgnoredRow]:
        """All reasons, those with a remedy first."""
        rows = [
            IgnoredRow(reason, count, self.examples.get(reason, ()), _words(reason).remedy)
            for reason, count in self.counts.items()
        ]
        return sorted(rows, key=lambda row: (not row.remedy, row.reason))

    def folder_rows(self) -> list[tuple[str, int, str]]:
        """The first-level folders without a photo: name with a `/`, number of entries, and entries by reason."""
        return [
            (f"{name}/", sum(counts.values()), ", ".join(_counted(*item) for item in sorted(counts.items())))
            for name, counts in self.folders.items()
        ]

    def describe_reasons(self) -> list[str]:
        """Describe each reason that has a remedy in one line, without control characters."""
        return [
            f"{_counted(row.reason, row.entries)} ({row.remedy}){_examples(row.examples, row.entries)}"
            for row in self.rows()
            if row.remedy
        ]

    def describe_folders(self) -> list[str]:
        """Describe the first folders without a photo in one line each; a last line counts the others."""
        lines = [
            f"{escape_control_characters(path)} has {'1 file' if files == 1 else f'{files:,} files'}, none of them a "
            f"photo that is read here ({reasons})"
            for path, files, reasons in self.folder_rows()[:_NAMED_FOLDERS]
        ]
        more = len(self.folders) + self.more_folders - len(lines)
        return [*lines, f"and {more:,} more such folders" if more > 1 else "and 1 more such folder"] if more else lines

    def lines(self, folder: str = "No label") -> list[tuple[str, str]]:
        """All lines, each with its heading; `folder` is the heading for folders without a photo."""
        lines = [("Ignored", line) for line in self.describe_reasons()]
        return lines + [(folder, line) for line in self.describe_folders()]

    def explain(self) -> str:
        """All lines as the last sentence of an error; empty if there are none."""
        lines = "; ".join(line for _, line in self.lines())
        return f" Ignored: {lines}." if lines else ""

    def below(self, folder: str) -> "IgnoredSummary":
        """The same with paths from further up."""
        return IgnoredSummary(
            self.counts,
            {reason: [f"{folder}/{path}" for path in paths] for reason, paths in self.examples.items()},
            {f"{folder}/{name}": counts for name, counts in self.folders.items()},
            self.more_folders,
        )


def merge_ignored(summaries: Collection[IgnoredSummary]) -> IgnoredSummary:
    """Merge the summaries of several listings."""
    merged = Ignored()
    for summary in summaries:
        merged.counts.update(summary.counts)
        merged.folders |= {name: Counter(counts) for name, counts in summary.folders.items()}
        for reason, paths in summary.examples.items():
            merged.examples[reason] = sorted({*merged.examples.get(reason, ()), *paths})[:EXAMPLES]
    found = merged.summarise(())
    return replace(found, more_folders=found.more_folders + sum(summary.more_folders for summary in summaries))


@dataclass
class Ignored:
    """Ignored entries of a listing that is being made."""

    #: Number of entries, by reason; an ignored folder counts as one.
    counts: Counter[str] = field(default_factory=Counter)
    #: The first paths of each reason in sorted order, whatever order they are found in.
    examples: dict[str, list[str]] = field(default_factory=dict)
    #: Number of entries of each first-level folder, by reason.
    folders: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, path: str, reason: str) -> None:
        """Count an entry by its path within the dataset, with a `/` at the end of a folder's."""
        self.counts[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES or path < examples[-1]:
            insort(examples, path)
            del examples[EXAMPLES:]
        folder, _, below = path.partition("/")
        if below and not find_row(path):
            self.folders.setdefault(folder, Counter())[reason] += 1

    def summarise(self, photos: Iterable[str]) -> IgnoredSummary:
        """Summarise the entries beside photos with these paths."""
        paths = list(photos)
        used = {path.partition("/")[0] for path in paths}
        # Folders beside Parquet files are no labels.
        folders = {} if paths and find_row(paths[0]) else self.folders
        without = sorted(name for name, counts in folders.items() if name not in used and not counts.keys() <= _CLUTTER)
        return IgnoredSummary(
            dict(sorted(self.counts.items())),
            {reason: [_printable(path) for path in paths] for reason, paths in sorted(self.examples.items())},
            {name: dict(sorted(self.folders[name].items())) for name in without[:_KEPT_FOLDERS]},
            max(len(without) - _KEPT_FOLDERS, 0),
        )


def _printable(path: str) -> str:
    r"""Write a path so that JSON, Parquet and a terminal take it: bytes that are not UTF-8 as `\xe9`."""
    try:
        return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return path.encode(errors="backslashreplace").decode()


def _words(reason: str) -> _Words:
    return _WORDS.get(reason, _Words(reason, reason))


def _counted(reason: str, count: int) -> str:
    return f"{count:,} {_words(reason).one if count == 1 else _words(reason).several}"


def _examples(examples: Sequence[str], count: int) -> str:
    if not examples:
        return ""
    more = f" and {count - len(examples):,} more" if count > len(examples) else ""
    return f": {', '.join(map(escape_control_characters, examples))}{more}"
