"""Facts on the splits that a dataset gives, for records and for people; imports no large library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GivenSplits:
    """Splits as a dataset gives them."""

    test: str  #: The split of the dataset that is used as the test split: `test`, or `validation` if it has no test.
    validation: bool  #: Whether it gives a validation split; otherwise one is drawn from the training split.
    photos: Mapping[str, int]  #: Number of photos of each split that is given, repeated and excluded photos included.
    repeated: int  #: Number of photos, by content, that it gives several splits.
    without: int  #: Number of photos, by path, that it gives none; they are training photos.


def describe_splits(details: Mapping[str, Any]) -> str:
    """Describe given splits, of which `details` holds the fields of `GivenSplits`."""
    given = GivenSplits(**details)
    photos = ", ".join(
        f"{split} {given.photos[split]:,}" for split in sorted(given.photos, key=("train", "validation", "test").index)
    )
    told = [f"as the dataset gives them ({photos} photos)"]
    if given.test != "test":
        told.append(f"its {given.test} split is the test split")
    if not given.validation:
        told.append("validation is drawn from train")
    if given.repeated:
        verb = "photo is" if given.repeated == 1 else "photos are"
        told.append(f"{given.repeated:,} {verb} in several splits: used for test, else validation, else train")
    if given.without:
        verb = "photo has" if given.without == 1 else "photos have"
        told.append(f"{given.without:,} {verb} no split: used for train")
    return "; ".join(told)


def name_test_split(details: Mapping[str, Any]) -> str:
    """Name the test split that a dataset gives, such as `the given split validation`; for `details` see above."""
    return f"the given split {details['test']}"


def describe_folds(crossed: Mapping[str, Any]) -> str:
    """Describe the photos and folds of a cross-validation, as metrics.json holds it."""
    photos = crossed.get("photos")
    over = f"the {photos:,} photos of train and validation" if photos else "all photos"
    return f"over {over}, {crossed['folds']} folds"
