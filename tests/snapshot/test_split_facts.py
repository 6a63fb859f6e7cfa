"""Sentences on given splits, for people."""

from dataclasses import asdict

from tasks.snapshot.split_facts import GivenSplits, describe_folds, describe_splits


def test_given_splits_are_described_by_their_photos() -> None:
    given = GivenSplits("test", True, {"test": 1000, "train": 5000, "validation": 400}, repeated=0, without=0)
    assert describe_splits(asdict(given)) == (
        "as the dataset gives them (train 5,000, validation 400, test 1,000 photos)"
    )


def test_what_is_not_as_given_is_told() -> None:
    given = GivenSplits("validation", False, {"train": 2000, "validation": 1000}, repeated=2, without=1)
    assert describe_splits(asdict(given)) == (
        "as the dataset gives them (train 2,000, validation 1,000 photos); its validation split is the test split; "
        "validation is drawn from train; 2 photos are in several splits: used for test, else validation, else train; "
        "1 photo has no split: used for train"
    )


def test_a_cross_validation_names_its_photos() -> None:
    assert describe_folds({"folds": 5}) == "over all photos, 5 folds"
    assert describe_folds({"folds": 5, "photos": 1779}) == "over the 1,779 photos of train and validation, 5 folds"
