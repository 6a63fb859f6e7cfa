"""Splits that a dataset gives its photos."""

import pyarrow as pa
import pytest

from tasks.errors import DatasetError
from tasks.snapshot.given_splits import settle_splits, to_split
from tasks.snapshot.split_facts import GivenSplits


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training_Set", "train"),
        ("train-images", "train"),
        ("val", "validation"),
        ("VALID", "validation"),
        ("dev", "validation"),
        ("evaluation data", "validation"),
        ("test", "test"),
        ("testing", "test"),
        ("hold-out", "test"),
    ],
)
def test_a_split_goes_by_its_usual_names(name: str, split: str) -> None:
    assert to_split(name) == split


@pytest.mark.parametrize("name", ["trains", "protest", "trainer", "", "tests", "valley", "roses"])
def test_other_names_are_no_splits(name: str) -> None:
    assert to_split(name) is None


def settled(*photos: tuple[str, str | None]) -> tuple[list[str | None], GivenSplits | None]:
    """Settle photos, given as content and split."""
    contents, splits = zip(*photos, strict=True)
    found = settle_splits(pa.table({"sha256": contents, "split": pa.array(splits, pa.string())}))
    assert found.table["sha256"].to_pylist() == list(contents)
    return found.table["split"].to_pylist(), found.given


def test_three_splits_are_used_as_given() -> None:
    splits, given = settled(("a", "train"), ("b", "validation"), ("c", "test"), ("d", "train"))
    assert splits == ["train", "validation", "test", "train"]
    assert given == GivenSplits("test", True, {"train": 2, "validation": 1, "test": 1}, repeated=0, without=0)


@pytest.mark.parametrize("other", ["test", "validation"])
def test_of_two_splits_the_one_beside_train_is_the_test_split(other: str) -> None:
    splits, given = settled(("a", "train"), ("b", other))
    assert splits == ["train", "test"]
    assert given == GivenSplits(other, False, {"train": 1, other: 1}, repeated=0, without=0)


@pytest.mark.parametrize("split", ["train", None])
def test_training_photos_alone_give_no_splits(split: str | None) -> None:
    assert settled(("a", split), ("b", None)) == ([None, None], None)


def test_a_photo_in_several_splits_tests_before_it_validates_and_validates_before_it_trains() -> None:
    photos = [("a", "train"), ("a", "test"), ("b", "validation"), ("b", "train"), ("c", "test"), ("c", "validation")]
    splits, given = settled(*photos, ("d", "train"), ("d", "train"), ("e", "validation"))
    assert splits == ["test", "test", "validation", "validation", "test", "test", "train", "train", "validation"]
    assert given is not None
    assert given.repeated == 3


def test_a_photo_without_a_split_is_a_training_photo_unless_it_repeats_one_that_has_a_split() -> None:
    splits, given = settled(("a", "test"), ("b", None), ("a", None), ("c", "validation"))
    assert splits == ["test", "train", "test", "validation"]
    assert given == GivenSplits("test", True, {"test": 1, "validation": 1}, repeated=1, without=2)


def test_splits_without_training_photos_are_refused() -> None:
    with pytest.raises(DatasetError, match="no photos to train on, only the splits test, validation"):
        settled(("a", "test"), ("b", "validation"))
