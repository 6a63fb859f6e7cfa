"""Splits that a dataset gives its photos."""

import pytest

from tasks.snapshot.given_splits import to_split


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
