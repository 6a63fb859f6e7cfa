"""Labels: their names, the changes between runs, and the checks that a dataset has usable ones."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.errors import DatasetError, first_of
from tasks.events import escape_control_characters
from tasks.snapshot.ignored import IgnoredSummary

#: Most labels that an error names.
_NAMED = 10
#: Fewest photos of a label, since each split needs one; and fewest outside a test split that is given, of
#: which one must be in the training split.
_LEAST, _LEAST_TRAINING = 3, 2

_TABLE_WORDS = (
    ("photos_without_row", "photo without a row", "photos without a row"),
    ("photos_without_label", "photo with an empty label", "photos with an empty label"),
    ("rows_without_photo", "row without a photo", "rows without a photo"),
)


def to_label(folder: str) -> str:
    """Label of a folder: its name in Unicode's form NFC.

    A letter with an accent can be one code point or two, the letter and its accent. They look the same; macOS writes
    names in two code points, most other systems in one.
    """
    return unicodedata.normalize("NFC", folder)


def describe_merge(label: str, folders: Sequence[str]) -> str:
    """Describe a label that several folders make."""
    return (
        f"{label!r} is one label of {len(folders)} folders, whose names differ only in their form of Unicode: "
        f"{', '.join(map(ascii, folders))}"
    )


def describe_corrections(details: Mapping[str, Any]) -> str:
    """Describe the corrections of a snapshot, given its details about them."""
    told = f"{details['relabelled']:,} relabelled, {details['excluded']:,} excluded"
    lines = details["unmatched"]
    if not lines:
        return told
    matched = "line matches" if lines == 1 else "lines match"
    return f"{told}; {lines:,} {matched} no photo, such as {'; '.join(details['unmatched_examples'])}"


def describe_label_table(details: Mapping[str, Any]) -> list[str]:
    """Describe the table that gave a snapshot its labels, and tables that were not used, in one line each."""
    unused = [f"{escape_control_characters(each)}; folders give the labels" for each in details["unused"]]
    if not details.get("tables"):
        return unused
    told = [f"{', '.join(details['tables'])}: {_rows(details['rows'])}"]
    for name, one, several in _TABLE_WORDS:
        if count := details[name]:
            examples = ", ".join(map(escape_control_characters, details[f"{name}_examples"]))
            told.append(f"{count:,} {one if count == 1 else several}, such as {examples}")
    return ["; ".join(told), *(f"{escape_control_characters(each)}; it is not used" for each in details["unused"])]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def label_changes(before: Mapping[str, int] | None, now: Mapping[str, int]) -> dict[str, list[str]]:
    """Find the labels, sorted, that are new or gone since an earlier date; none is new in the first run."""
    if before is None:
        return {"new": [], "gone": []}
    # An earlier version of this project kept labels as their folders' names were written.
    earlier = set(map(to_label, before))
    return {"new": sorted(now.keys() - earlier), "gone": sorted(earlier - now.keys())}


def check_labels(
    counts: Mapping[str, int],
    ignored: IgnoredSummary | None = None,
    given: Mapping[str, Mapping[str, int]] | None = None,
    label_table: Mapping[str, Any] | None = None,
) -> None:
    """Refuse usable photos that no head can be trained or tested on, before any work is done.

    Args:
        counts: Number of usable photos of each label.
        ignored: Ignored entries, which the error names.
        given: Number of usable photos of each label in each split that the dataset gives, see `count_splits`; None if
            splits are drawn.
        label_table: Facts about the table of labels, which the error describes; None if there is none.

    Raises:
        DatasetError: There are fewer than two labels, labels with too few photos, which are named, or no test photos.
    """
    explained = "".join(f" {line}." for line in (describe_label_table(label_table) if label_table else ()))
    explained += ignored.explain() if ignored else ""
    if len(counts) < 2:
        found = ", ".join(f"only the label {label!r} with photos: {count}" for label, count in counts.items())
        raise DatasetError(
            f"The dataset has {found or 'no photos in folders'}, and a classifier needs two labels at least. Give a "
            "folder that holds one folder a label with its photos inside: <dataset>/<label>/<photo>.jpg; or put a "
            "table with the columns file_name and label beside the photos, as metadata.csv, or give one with --labels."
            + explained
        )
    if given is not None:
        _check_given(counts, given, explained)
        return
    small = [f"{label!r} ({count})" for label, count in counts.items() if count < _LEAST]
    if small:
        raise DatasetError(
            f"Labels with fewer than {_LEAST} usable photos: {first_of(small, _NAMED)}. Add photos to them or move "
            f"their folders or rows out of the dataset; duplicates, and photos under two labels, do not count."
            + explained
        )


def _check_given(labels: Iterable[str], given: Mapping[str, Mapping[str, int]], explained: str) -> None:
    small = []
    for label in labels:
        own = given.get(label, {})
        train, validation = own.get("train", 0), own.get("validation", 0)
        if not train or train + validation < _LEAST_TRAINING:
            small.append(f"{label!r} ({train})")
    if small:
        raise DatasetError(
            f"Labels with too few usable photos in the training split that the dataset gives, of {_LEAST_TRAINING} at "
            f"least: {first_of(small, _NAMED)}. Add training photos to them, or remove these labels from the other "
            "splits; duplicates, photos under two labels, and photos that are in another split too, do not count."
            + explained
        )
    if not any(own.get("test") for own in given.values()):
        raise DatasetError(
            "The test split that the dataset gives has no usable photo. Add photos to it, or remove it: the splits are "
            "drawn then." + explained
        )
