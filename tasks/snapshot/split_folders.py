"""Folders of splits: `train/<label>/<photo>`, as Hugging Face's ImageFolder and many published datasets have them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import DatasetError
from tasks.snapshot.given_splits import to_split
from tasks.snapshot.labels import to_label


def find_split_folders(paths: Collection[str]) -> dict[str, str]:
    """Find the splits that the first folders of photos are; empty if the first folders are labels.

    They are splits if all of them have usual names of splits, and if either two of them hold folders of the same names,
    the labels, or the training folder alone holds folders, two at least. Otherwise they may be labels that are called
    `train` and `test`.

    Returns:
        The split of each first folder, by the folder's name.

    Raises:
        DatasetError: Two folders are the same split.
    """
    below: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        first, *deeper = path.split("/", 2)
        # The last part is the photo.
        below[first].update(to_label(name).casefold() for name in deeper[:-1])
    splits = {first: split for first in sorted(below) if (split := to_split(first))}
    if len(splits) < len(below) or not (_share_folders(below) or _holds_all_labels(below, splits)):
        return {}
    for one, two in combinations(splits, 2):
        if splits[one] == splits[two]:
            raise DatasetError(
                f"The folders {one!r} and {two!r} of the dataset both give the split {splits[one]}. Move the photos of "
                "one into the other, or rename one."
            )
    return splits


def is_labelled(path: str, splits: Mapping[str, str]) -> bool:
    """Whether a photo of a dataset with these folders of splits is in a label's folder."""
    return not splits or path.count("/") > 1


def label_folders(paths: pa.Array | pa.ChunkedArray, splits: Mapping[str, str]) -> pa.Array | pa.ChunkedArray:
    """Return the name of the label's folder of each path: the first folder, or the second one below a split."""
    return pc.list_element(pc.split_pattern(paths, "/", max_splits=2), 1 if splits else 0)


def label_by_folder(hashes: pa.Table, splits: Mapping[str, str]) -> pa.Table:
    """Add the columns `label`, the name of the label's folder in Unicode's form NFC, and `split` to hashes."""
    label = pc.utf8_normalize(label_folders(hashes["path"], splits), form="NFC")
    first = pc.list_element(pc.split_pattern(hashes["path"], "/", max_splits=1), 0)
    places = pc.index_in(first, pa.array(splits, pa.string()))
    split = pa.array(splits.values(), pa.string()).take(places)
    return hashes.append_column("label", label).append_column("split", split)


def _share_folders(below: Mapping[str, set[str]]) -> bool:
    return any(below[one] & below[two] for one, two in combinations(below, 2))


def _holds_all_labels(below: Mapping[str, set[str]], splits: Mapping[str, str]) -> bool:
    (*holders,) = (first for first, folders in below.items() if folders)
    return len(holders) == 1 and splits[holders[0]] == "train" and len(below[holders[0]]) > 1
