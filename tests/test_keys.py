"""Keys depend on what went in, on all of it, and on nothing else."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.keys import KEY_LENGTH, file_sha256, fingerprint

INGREDIENTS = {"size": 288, "resampling": "bicubic", "views": 2, "mean": 127.0, "decode": {"crop": 288, "png": False}}


def test_a_key_is_the_start_of_the_sha256_of_the_canonical_json() -> None:
    # printf '%s' '{"a":1,"b":[1.5,"ü"]}' | sha256sum
    assert fingerprint({"b": (1.5, "ü"), "a": 1}) == "f8063e87a9b96482"


def test_the_order_of_ingredients_does_not_matter_and_that_within_a_list_does() -> None:
    turned = dict(reversed(INGREDIENTS.items())) | {"decode": {"png": False, "crop": 288}}
    assert list(turned) != list(INGREDIENTS)
    assert fingerprint(turned) == fingerprint(INGREDIENTS)
    assert fingerprint({"l2": [0.1, 0.01]}) != fingerprint({"l2": [0.01, 0.1]})


@pytest.mark.parametrize(
    "change",
    [
        {"size": 224},
        {"resampling": "Bicubic"},
        {"views": 1},
        {"mean": 127.00000000000001},
        {"decode": {"crop": 288, "png": True}},
        {"decode": {"crop": 288}},
        {"more": None},
    ],
)
def test_every_ingredient_changes_the_key(change: dict[str, object]) -> None:
    assert fingerprint(INGREDIENTS | change) != fingerprint(INGREDIENTS)


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())))
def test_a_key_survives_being_written_as_json(ingredients: dict[str, object]) -> None:
    key = fingerprint(ingredients)
    assert fingerprint(json.loads(json.dumps(ingredients))) == key
    assert len(key) == KEY_LENGTH
    assert set(key) <= set("0123456789abcdef")


def test_paths_that_are_not_utf8_have_keys_too() -> None:
    first, second = (name.decode("utf-8", "surrogateescape") for name in (b"r\xe9sum\xe9", b"r\xe8sum\xe9"))
    assert fingerprint({"path": first}) != fingerprint({"path": second})


def test_what_is_no_number_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"mean": float("nan")})


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9_001
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    assert file_sha256(path) == hashlib.sha256(data).hexdigest()
