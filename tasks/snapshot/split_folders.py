"""A dataset that is divided into training and test photos by its folders, which would become its labels."""

import re
from collections import defaultdict
from collections.abc import Collection
from itertools import combinations

from tasks.errors import DatasetError
from tasks.paths import AnyPath
from tasks.snapshot.labels import to_label

_SPLIT = re.compile(
    r"(train(ing)?|val(id(ation)?)?|dev(el(opment)?)?|eval(uation)?|test(ing)?|hold[ _-]?out)"
    r"([ _-]?(set|split|data|images|photos))?",
    re.IGNORECASE,
)
_NAMED = 3


def check_split_folders(paths: Collection[str], folder: AnyPath, archive: str = "") -> None:
    """Refuse a dataset whose first level are splits, such as `train/` and `test/`, with the same folders in them.

    Folders of such names that hold different folders, or none, may be labels like any others.

    Args:
        paths: Of its photos.
        folder: What they are relative to.
        archive: The archive that the folder was extracted from, for people; empty where the dataset is a folder.

    Raises:
        DatasetError: It is one; names the splits, the folders that they share, and what to do.
    """
    if not all(map(_SPLIT.fullmatch, {path.partition("/")[0] for path in paths})):
        return
    below: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        first, *deeper = path.split("/", 2)
        # A photo's own name is no folder.
        below[first].update((to_label(name).casefold(), name) for name in deeper[:-1])
    shared = {below[one][name] for one, two in combinations(below, 2) for name in below[one].keys() & below[two].keys()}
    if shared:
        more = f" and {len(shared) - _NAMED:,} more" if len(shared) > _NAMED else ""
        named = f"{', '.join(map(repr, sorted(shared)[:_NAMED]))}{more}"
        # The folder for training comes first.
        splits = sorted(below, key=lambda name: (not name.lower().startswith("train"), name))
        folder_of_labels = f"{splits[0]!r}, unpacked from it" if archive else f"{folder / splits[0]}"
        raise DatasetError(
            f"{archive or folder} is divided into the splits {', '.join(map(repr, splits))} with the same folders in "
            f"them ({named}), so that the splits would become the labels. Give a folder that holds one folder a label, "
            f"such as {folder_of_labels}: it is split anew. A coming version reads such splits as they are."
        )
