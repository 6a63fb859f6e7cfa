"""Splits: stable under change, independent of order, and none left empty."""

import hashlib
import random
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DatasetError, SettingError
from tasks.snapshot.splits import SPLIT_TENTHS, SPLITS, TENTHS, Fill, Splits, assign_splits, fold_tenths


def key(seed: object) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def at(position: float, digits: str = "0" * 48) -> str:
    """A key at this position, a fraction of the whole range."""
    return f"{int(Fraction(str(position)) * 2**64):016x}{digits}"


def threshold(sha256: str) -> str:
    """Naive: the split that thresholds alone give, in exact fractions."""
    position = Fraction(int(sha256[:16], 16), 2**64)
    return "train" if position < Fraction(8, 10) else "validation" if position < Fraction(9, 10) else "test"


def split(photos: dict[str, str]) -> tuple[dict[str, str], Splits]:
    result = assign_splits(list(photos), list(photos.values()))
    return dict(zip(photos, result.names, strict=True)), result


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
    splits, result = split(photos)
    found = defaultdict(set)
    for photo, label in photos.items():
        found[label].add(splits[photo])
    assert all(names == set(SPLITS) for names in found.values())
    moved = {photo for photo in photos if splits[photo] != threshold(photo)}
    assert moved == {fill.sha256 for fill in result.filled}
    assert all(splits[fill.sha256] == fill.split and photos[fill.sha256] == fill.label for fill in result.filled)


@given(datasets, datasets)
def test_adding_photos_never_moves_others_except_those_that_filled_in(
    photos: dict[str, str], added: dict[str, str]
) -> None:
    before, result = split(photos)
    after, result_after = split({**added, **photos})
    filled = {fill.sha256 for fill in (*result.filled, *result_after.filled)}
    assert all(after[photo] == before[photo] for photo in photos if photo not in filled)


@given(datasets, st.randoms(use_true_random=False))
def test_the_order_of_the_photos_does_not_matter(photos: dict[str, str], order: random.Random) -> None:
    shuffled = list(photos.items())
    order.shuffle(shuffled)
    splits, result = split(photos)
    splits_shuffled, result_shuffled = split(dict(shuffled))
    assert splits == splits_shuffled
    assert result.filled == result_shuffled.filled


def test_a_photo_stays_in_its_split_when_it_moves_to_another_label() -> None:
    photos = {key(n): "roses" if n % 2 else "tulips" for n in range(1000)}
    moved = {photo: "roses" if n % 3 else "tulips" for n, photo in enumerate(photos)}
    assert split(photos)[0] == split(moved)[0]
    assert split(photos)[1].filled == ()


def test_of_many_photos_80_percent_train_and_10_percent_each_validate_and_test() -> None:
    splits, _ = split({key(n): "ab"[n % 2] for n in range(20_000)})
    counts = Counter(splits.values())
    # Four standard deviations of a share of 10 % are 170 photos.
    assert counts["validation"] == pytest.approx(2_000, abs=170)
    assert counts["test"] == pytest.approx(2_000, abs=170)


def test_the_thresholds_belong_to_the_split_above_them() -> None:
    last_train, last_validation = 2**64 * 8 // 10 - 1, 2**64 * 9 // 10 - 1
    positions = [0, last_train, last_train + 1, last_validation, last_validation + 1, 2**64 - 1]
    photos = {f"{position:016x}{'0' * 48}": "a" for position in positions}
    photos |= {at(position): "b" for position in (0.1, 0.85, 0.95)}
    splits, result = split(photos)
    assert list(splits.values())[:6] == ["train", "train", "validation", "validation", "test", "test"]
    assert result.filled == ()


def test_the_nearest_photos_fill_in_for_empty_splits() -> None:
    photos = {at(0.1): "roses", at(0.7): "roses", at(0.6): "roses", at(0.2): "roses"}
    photos |= {at(0.91): "tulips", at(0.95): "tulips", at(0.99): "tulips"}
    splits, result = split(photos)
    assert list(splits.values()) == ["train", "test", "validation", "train", "train", "validation", "test"]
    assert result.filled == (
        Fill("roses", "validation", at(0.6)),
        Fill("roses", "test", at(0.7)),
        Fill("tulips", "train", at(0.91)),
        Fill("tulips", "validation", at(0.95)),
    )


def test_a_split_gives_up_a_photo_only_if_it_has_another() -> None:
    photos = {at(0.5): "roses", at(0.79): "roses", at(0.899): "roses"}
    photos |= {at(0.4): "tulips", at(0.85): "tulips", at(0.95): "tulips"}
    splits, _ = split(photos)
    # 0.899 is nearer to the test range, but it is the only one that validates.
    assert list(splits.values())[:3] == ["train", "test", "validation"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_photos_that_are_equally_near_the_smallest_key_fills_in(order: int) -> None:
    equal = [at(0.95, digit * 48) for digit in "123"][::order]
    photos = dict.fromkeys(equal, "roses") | {at(position): "tulips" for position in (0.4, 0.85, 0.97)}
    splits, _ = split(photos)
    assert [splits[photo] for photo in sorted(equal)] == ["train", "validation", "test"]


def test_ids_are_int8_indices_into_the_names_of_the_splits() -> None:
    result = assign_splits([at(0.95), at(0.1), at(0.85)] * 2, list("aaabbb"))
    assert result.ids.dtype == np.int8
    assert result.ids.tolist() == [2, 0, 1] * 2
    assert result.names == ["test", "train", "validation"] * 2


def test_a_label_of_two_photos_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match=r"'b' \(2\)"):
        assign_splits([key(n) for n in range(5)], list("aaabb"))


@given(datasets)
def test_splits_are_unions_of_tenths_and_a_tenth_is_the_first_decimal_unless_the_photo_fills_in(
    photos: dict[str, str],
) -> None:
    result = assign_splits(list(photos), list(photos.values()))
    assert result.tenths.dtype == np.int8
    filled = {fill.sha256 for fill in result.filled}
    for photo, name, tenth in zip(photos, result.names, result.tenths.tolist(), strict=True):
        assert tenth in SPLIT_TENTHS[name]
        if photo not in filled:
            assert tenth == int(photo[:16], 16) * 10 // 2**64


@given(datasets, datasets)
def test_a_photo_that_fills_in_for_a_split_has_the_same_tenth_of_it_whatever_else_there_is(
    photos: dict[str, str], added: dict[str, str]
) -> None:
    alone, beside = ({**added, **photos} if both else photos for both in (False, True))
    found = []
    for these in (alone, beside):
        result = assign_splits(list(these), list(these.values()))
        tenths = dict(zip(these, result.tenths.tolist(), strict=True))
        found.append({(fill.sha256, fill.split): tenths[fill.sha256] for fill in result.filled})
    assert all(found[0][fill] == found[1][fill] for fill in found[0].keys() & found[1].keys())


def test_photos_that_fill_in_for_training_are_spread_over_its_tenths() -> None:
    start = 2**64 * 95 // 100
    photos = {f"{start + number:016x}{'0' * 48}": f"label {number // 3}" for number in range(600)}
    result = assign_splits(list(photos), list(photos.values()))
    filled = {fill.sha256 for fill in result.filled if fill.split == "train"}
    tenths = [tenth for photo, tenth in zip(photos, result.tenths.tolist(), strict=True) if photo in filled]
    assert len(set(tenths)) == 8


@pytest.mark.parametrize("folds", range(2, TENTHS + 1))
def test_each_tenth_is_in_one_fold_and_every_fold_has_one_of_about_the_same_size(folds: int) -> None:
    dealt = fold_tenths(folds)
    assert sorted(tenth for own in dealt for tenth in own) == list(range(TENTHS))
    sizes = {len(own) for own in dealt}
    assert len(dealt) == folds
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("folds", [1, 11])
def test_fewer_than_two_folds_and_more_than_ten_are_refused(folds: int) -> None:
    with pytest.raises(SettingError, match=f"in {folds} folds is not possible. Give from 2 to 10 folds"):
        fold_tenths(folds)
