"""Manifests: read as they were written, or refused by name."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import StoreError
from tasks.shards.manifests import read_manifest
from tasks.storage.files import publish_json, read_json
from tests.shards.rows import MANIFEST


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "manifests" / "fedcba9876543210.json"


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda values: {key: value for key, value in values.items() if key != name}


def test_a_manifest_is_read_as_it_was_written_and_a_later_one_replaces_it(path: Path) -> None:
    for manifest in (MANIFEST, replace(MANIFEST, new=0, reused=120, shards=())):
        manifest.publish(path)
        assert read_manifest(path) == manifest
        assert read_json(path)["schema_version"] == 1


def test_a_manifest_of_an_earlier_version_has_no_start_up_times(path: Path) -> None:
    MANIFEST.publish(path)
    publish_json(path, without("startup")(read_json(path)))
    assert read_manifest(path) == replace(MANIFEST, startup={})


def test_a_missing_manifest_is_not_a_damaged_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(path)


#: Makes the JSON of the file from the values of a manifest, and the error.
CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no photos": (without("photos"), "is not a manifest of this version"),
    "no version": (without("schema_version"), "is not a manifest of this version"),
    "more": (lambda values: {**values, "more": 1}, "is not a manifest of this version"),
    "no shards": (lambda values: {**values, "shards": None}, "is not a manifest of this version"),
    "a list": (lambda values: [values], "is not a manifest of this version"),
    "null": (lambda _: None, "is not a manifest of this version"),
    "later": (lambda values: {**values, "schema_version": 2}, "has schema version 2, this is 1"),
}


@pytest.mark.parametrize(("change", "says"), CHANGES.values(), ids=CHANGES)
def test_other_json_is_refused_with_a_remedy(path: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    MANIFEST.publish(path)
    publish_json(path, change(read_json(path)))
    with pytest.raises(StoreError, match=re.escape(f"{path} {says}") + r".*\. Delete it"):
        read_manifest(path)
