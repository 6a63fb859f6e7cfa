"""Labels: their names, the changes between runs, and the checks that a dataset has usable ones."""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from tasks.errors import DatasetError, first_of
from tasks.paths import AnyPath
from tasks.snapshot.given_splits import to_split
from tasks.snapshot.ignored import IgnoredSummary

#: Most labels, and most folders in splits, that an error names.
_NAMED, _NAMED_FOLDERS = 10, 3
#: Fewest photos of a label, since each split needs one.
_LEAST = 3


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


def label_changes(before: Mapping[str, int] | None, now: Mapping[str, int]) -> dict[str, list[str]]:
    """Find the labels, sorted, that are new or gone since an earlier date; none is new in the first run."""
    if before is None:
        return {"new": [], "gone": []}
    # An earlier version of this project kept labels as their folders' names were written.
    earlier = set(map(to_label, before))
    return {"new": sorted(now.keys() - earlier), "gone": sorted(earlier - now.keys())}


def check_labels(counts: Mapping[str, int], ignored: IgnoredSummary | None = None) -> None:
    """Refuse usable photos that no head can be trained on, before any work is done; the error names ignored entries.

    Raises:
        DatasetError: There are fewer than two labels, or labels with too few photos, which are named.
    """
    explained = ignored.explain() if ignored else ""
    if len(counts) < 2:
        found = ", ".join(f"only the label {label!r} with photos: {count}" for label, count in counts.items())
        raise DatasetError(
            f"The dataset has {found or 'no photos in folders'}, and a classifier needs two labels at least. Give a "
            f"folder that holds one folder a label with its photos inside: <dataset>/<label>/<photo>.jpg.{explained}"
        )
    small = [f"{label!r} ({count})" for label, count in counts.items() if count < _LEAST]
    if small:
        raise DatasetError(
            f"Labels with fewer than {_LEAST} usable photos: {first_of(small, _NAMED)}. Add photos to them or move "
            f"their folders out of the dataset; duplicates, and photos under two labels, do not count.{explained}"
        )


def check_split_folders(paths: Collection[str], folder: AnyPath, archive: str = "") -> None:
    """Refuse a dataset whose first folders are splits, such as `train/` and `test/`, with the same folders in them.

    They would become the labels. Folders of such names with different folders in them, or none, may be labels. The
    error names the archive that the folder was extracted from, if there is one.

    Raises:
        DatasetError: The first folders are splits; names them, the folders that they share, and the remedy.
    """
    if not all(map(to_split, {path.partition("/")[0] for path in paths})):
        return
    below: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        first, *deeper = path.split("/", 2)
        # The last part is the photo.
        below[first].update((to_label(name).casefold(), name) for name in deeper[:-1])
    shared = {below[one][name] for one, two in combinations(below, 2) for name in below[one].keys() & below[two].keys()}
    if shared:
        # The training folder comes first.
        splits = sorted(below, key=lambda name: (not name.lower().startswith("train"), name))
        folder_of_labels = f"{splits[0]!r}, unpacked from it" if archive else f"{folder / splits[0]}"
        raise DatasetError(
            f"{archive or folder} is divided into the splits {', '.join(map(repr, splits))} with the same folders in "
            f"them ({first_of(list(map(repr, sorted(shared))), _NAMED_FOLDERS)}), so that the splits would become the "
            f"labels. Give a folder that holds one folder a label, such as {folder_of_labels}: it is split anew. A "
            "coming version reads such splits as they are."
        )
