"""Splits: stable under change, independent of order, and none left empty."""

import hashlib
import random
from collections import Counter
from dataclasses import astuple
from fractions import Fraction
from itertools import chain, product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.errors import DatasetError, SettingError
from tasks.snapshot.splits import SPLIT_TENTHS, SPLITS, TENTHS, Fill, assign_splits, fold_tenths


def key(seed: object) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def at(position: float, digits: str = "0" * 48) -> str:
    """A key at this position, a fraction of the whole range."""
    return f"{int(Fraction(str(position)) * 2**64):016x}{digits}"


def threshold(sha256: str) -> str:
    """Naive: the split that thresholds alone give, in exact fractions."""
    position = Fraction(int(sha256[:16], 16), 2**64)
    return "train" if position < Fraction(8, 10) else "validation" if position < Fraction(9, 10) else "test"


class Split(NamedTuple):
    """Split and tenth of each photo, by its key, and the photos that fill in."""

    names: dict[str, str]
    tenths: dict[str, int]
    filled: tuple[Fill, ...]

    @property
    def moved(self) -> set[str]:
        """Keys of the photos that fill in."""
        return {fill.sha256 for fill in self.filled}


def split(photos: dict[str, str]) -> Split:
    """Split photos, given as key to label."""
    result = assign_splits(list(photos), list(photos.values()))
    names, tenths = (dict(zip(photos, each, strict=True)) for each in (result.names, result.tenths.tolist()))
    return Split(names, tenths, result.filled)


#: Photos (key to label): two labels at least, each with three photos at least, so that fills are common.
datasets = st.builds(
    lambda sizes, seed: {key((seed, label, n)): label for label, size in sizes.items() for n in range(size)},
    st.dictionaries(st.text(max_size=3), st.integers(3, 25), min_size=2, max_size=6),
    st.integers(),
)


@given(datasets)
def test_every_photo_is_where_its_hash_puts_it_unless_it_fills_in_and_every_label_is_in_all_splits(
    photos: dict[str, str],
) -> None:
    result = split(photos)
    assert {(photos[photo], name) for photo, name in result.names.items()} == set(product(photos.values(), SPLITS))
    assert {photo for photo in photos if result.names[photo] != threshold(photo)} == result.moved
    assert all((result.names[key], photos[key]) == (name, label) for label, name, key in map(astuple, result.filled))
    for photo, tenth in result.tenths.items():
        assert tenth in SPLIT_TENTHS[result.names[photo]]
        assert photo in result.moved or tenth == int(photo[:16], 16) * 10 // 2**64


@given(datasets, datasets)
def test_adding_photos_never_moves_others_except_those_that_filled_in_nor_these_within_a_split(
    photos: dict[str, str], added: dict[str, str]
) -> None:
    before, after = split(photos), split({**added, **photos})
    assert all(after.names[photo] == before.names[photo] for photo in photos.keys() - before.moved - after.moved)
    both = {(fill.sha256, fill.split) for fill in before.filled} & {(fill.sha256, fill.split) for fill in after.filled}
    assert all(before.tenths[photo] == after.tenths[photo] for photo, _ in both)


@given(datasets, st.randoms(use_true_random=False))
def test_the_order_of_the_photos_does_not_matter(photos: dict[str, str], order: random.Random) -> None:
    shuffled = list(photos.items())
    order.shuffle(shuffled)
    assert split(photos) == split(dict(shuffled))


def test_the_thresholds_belong_to_the_split_above_them() -> None:
    last_train, last_validation = 2**64 * 8 // 10 - 1, 2**64 * 9 // 10 - 1
    positions = [0, last_train, last_train + 1, last_validation, last_validation + 1, 2**64 - 1]
    photos = {f"{position:016x}{'0' * 48}": "a" for position in positions}
    result = split(photos | {at(position): "b" for position in (0.1, 0.85, 0.95)})
    assert [result.names[photo] for photo in photos] == [name for name in SPLITS for _ in range(2)]
    assert result.filled == ()


def test_the_nearest_photos_fill_in_for_empty_splits() -> None:
    photos = {at(0.1): "roses", at(0.7): "roses", at(0.6): "roses", at(0.2): "roses"}
    result = split(photos | {at(position): "tulips" for position in (0.91, 0.95, 0.99)})
    expected = ["train", "test", "validation", "train", "train", "validation", "test"]
    assert list(result.names.values()) == expected
    assert result.filled == (
        Fill("roses", "validation", at(0.6)),
        Fill("roses", "test", at(0.7)),
        Fill("tulips", "train", at(0.91)),
        Fill("tulips", "validation", at(0.95)),
    )


def test_a_split_gives_up_a_photo_only_if_it_has_another() -> None:
    roses = dict.fromkeys(map(at, (0.5, 0.79, 0.899)), "roses")
    result = split(roses | dict.fromkeys(map(at, (0.4, 0.85, 0.95)), "tulips"))
    # 0.899 is nearer to the test range, but it is the only one that validates.
    assert [result.names[photo] for photo in roses] == ["train", "test", "validation"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_photos_that_are_equally_near_the_smallest_key_fills_in(order: int) -> None:
    equal = [at(0.95, digit * 48) for digit in "123"][::order]
    result = split(dict.fromkeys(equal, "roses") | dict.fromkeys(map(at, (0.4, 0.85, 0.97)), "tulips"))
    assert [result.names[photo] for photo in sorted(equal)] == ["train", "validation", "test"]


def test_ids_are_int8_indices_into_the_names_of_the_splits() -> None:
    result = assign_splits([at(0.95), at(0.1), at(0.85)] * 2, list("aaabbb"))
    assert result.ids.dtype == result.tenths.dtype == np.dtype(np.int8)
    assert result.ids.tolist() == [2, 0, 1] * 2
    assert result.names == ["test", "train", "validation"] * 2


def test_a_label_of_two_photos_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match=r"'b' \(2\)"):
        assign_splits([key(n) for n in range(5)], list("aaabb"))


def test_photos_that_fill_in_for_training_are_spread_over_its_tenths() -> None:
    start = 2**64 * 95 // 100
    photos = {f"{start + number:016x}{'0' * 48}": f"label {number // 3}" for number in range(600)}
    result = split(photos)
    assert len({result.tenths[fill.sha256] for fill in result.filled if fill.split == "train"}) == 8


@pytest.mark.parametrize("folds", range(2, TENTHS + 1))
def test_each_tenth_is_in_one_fold_and_every_fold_has_one_of_about_the_same_size(folds: int) -> None:
    tenths = fold_tenths(folds)
    assert sorted(chain(*tenths)) == list(range(TENTHS))
    assert len(tenths) == folds
    assert {len(own) for own in tenths} <= {TENTHS // folds, -(-TENTHS // folds)}


@pytest.mark.parametrize("folds", [1, 11])
def test_fewer_than_two_folds_and_more_than_ten_are_refused(folds: int) -> None:
    with pytest.raises(SettingError, match=f"in {folds} folds is not possible. Give from 2 to 10 folds"):
        fold_tenths(folds)


def test_more_folds_than_tenths_outside_a_given_test_split_are_refused() -> None:
    with pytest.raises(SettingError, match="in 10 folds is not possible where the dataset gives the test split"):
        fold_tenths(10, 9)


@given(datasets, st.randoms(use_true_random=False), st.booleans())
def test_given_splits_are_kept_and_all_but_test_photos_are_spread_over_nine_tenths_by_their_content(
    photos: dict[str, str], generator: random.Random, validates: bool
) -> None:
    choices = ["train", "test", "validation"] if validates else ["train", "test"]
    # A label needs two training photos.
    labels = Counter[str]()
    own = {}
    for photo, label in photos.items():
        own[photo] = "train" if labels[label] < 2 else generator.choice(choices)
        labels[label] += 1
    assume("test" in own.values())
    result = assign_splits(list(photos), list(photos.values()), list(own.values()))
    assert result.is_given
    for photo, name, tenth in zip(photos, result.names, result.tenths.tolist(), strict=True):
        assert name == own[photo] or (
            "validation" not in own.values() and (own[photo], name) == ("train", "validation")
        )
        assert (tenth == 9) == (name == "test")
    assert result.in_folds.tolist() == [name != "test" for name in result.names]


def test_where_no_validation_photos_are_given_a_ninth_of_the_training_photos_of_each_label_is_drawn() -> None:
    photos = [key(number) for number in range(1800)]
    labels = ["roses"] * 900 + ["tulips"] * 900
    result = assign_splits(photos, labels, ["test" if number % 10 == 0 else "train" for number in range(1800)])
    validation = Counter(label for label, name in zip(labels, result.names, strict=True) if name == "validation")
    assert all(70 <= count <= 110 for count in validation.values()), validation
    assert np.bincount(result.tenths[result.in_folds], minlength=9).min() > 140
    small = assign_splits(
        photos[:6], ["roses", "roses", "roses", "tulips", "tulips", "tulips"], ["train", "train", "test"] * 2
    )
    assert sorted(small.names) == ["test", "test", "train", "train", "validation", "validation"]


@pytest.mark.parametrize("start", [0, 16, 48, 62])
def test_splits_by_any_digits_of_the_keys_may_be_given_and_the_nine_tenths_are_even_all_the_same(start: int) -> None:
    photos = [key(number) for number in range(2000)]
    given = ["test" if int(photo[start : start + 2], 16) < 51 else "train" for photo in photos]
    result = assign_splits(photos, ["roses", "tulips"] * 1000, given)
    assert [name == "test" for name in result.names] == [name == "test" for name in given]
    assert np.bincount(result.tenths[result.in_folds], minlength=9).min() > 130


def test_without_any_given_split_splits_are_drawn() -> None:
    photos, labels = [key(number) for number in range(20)], ["roses", "tulips"] * 10
    result = assign_splits(photos, labels, [None] * 20)
    assert not result.is_given
    assert result.names == assign_splits(photos, labels).names
