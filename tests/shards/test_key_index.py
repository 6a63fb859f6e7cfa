"""The index of keys: the places of a dictionary, without its memory."""

import hashlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import StoreError
from tasks.shards.key_index import KeyIndex, key_texts
from tests.shards import rows


def hashed(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def strings(keys: list[str]) -> pa.Array:
    return pa.array(keys, pa.string())


@settings(deadline=None)
@given(
    wanted=st.lists(st.integers(0, 30), unique=True),
    asked=st.lists(st.integers(0, 40)),
    # Those of `rows.key` begin alike, which those of photos never do.
    key=st.sampled_from([hashed, rows.key]),
    cut=st.integers(0, 5),
)
def test_places_match_a_dictionary(wanted: list[int], asked: list[int], key: Callable[[int], str], cut: int) -> None:
    expected = {number: place for place, number in enumerate(wanted)}
    index = KeyIndex(strings([key(number) for number in wanted]))
    keys = [key(number) for number in asked]
    for form in (strings(keys), pa.chunked_array([strings(keys[:cut]), strings(keys[cut:])], pa.string())):
        places = index.places(form)
        assert places.dtype == np.int64
        assert places.tolist() == [expected.get(number, -1) for number in asked]


def test_keys_that_only_begin_alike_are_other_keys() -> None:
    start = hashed(1)[:16]
    index = KeyIndex(strings([start + "0" * 48, hashed(2)]))
    assert index.places(strings([start + "1" * 48, start + "0" * 48])).tolist() == [-1, 0]


def test_a_slice_of_an_array_is_read_from_its_own_beginning() -> None:
    keys = strings([hashed(number) for number in range(9)])
    assert KeyIndex(keys.slice(2, 4)).places(keys.slice(3)).tolist() == [1, 2, 3, -1, -1, -1]


def test_keys_are_not_copied() -> None:
    keys = strings([hashed(number) for number in range(9)])
    before = pa.total_allocated_bytes()
    texts = key_texts(keys)
    assert texts.__array_interface__["data"][0] == keys.buffers()[2].address
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("wrong", ["", "cafe", hashed(1)[:-1], hashed(1) + "0", None, "z" * 64, "ä" * 32 + "a"])
def test_an_invalid_key_is_refused(wrong: str | None) -> None:
    keys = pa.array([hashed(1), wrong, hashed(2)], pa.string())
    with pytest.raises(ValueError, match="hex digits"):
        KeyIndex(strings([hashed(1)])).places(keys)
    with pytest.raises(StoreError, match=r"hex digits.*Delete the snapshot that lists it"):
        KeyIndex(keys)
