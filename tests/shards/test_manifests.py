"""Manifests: read as they were written, or refused by name."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import StoreError
from tasks.shards.manifests import Manifest, read_manifest
from tasks.storage.files import publish_json, read_json

MANIFEST = Manifest(
    stage="decode",
    run="2026-01-31-cafe",
    seconds=12.345,
    startup={"imports": 2.5},
    key="0123456789abcdef",
    snapshot="fedcba9876543210",
    settings={"size": 288, "label": "Gänseblümchen"},
    photos=120,
    new=20,
    reused=100,
    shards=("part-a.parquet", "part-b.parquet"),
    details={"reasons": {"truncated": 2}},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "manifests" / "fedcba9876543210.json"


@pytest.mark.parametrize("shards", [("part-a.parquet", "part-b.parquet"), ()])
def test_a_manifest_is_read_as_it_was_written(path: Path, shards: tuple[str, ...]) -> None:
    manifest = replace(MANIFEST, shards=shards)
    manifest.publish(path)
    assert read_manifest(path) == manifest


def test_a_manifest_from_before_start_up_was_told_is_read_without_it(path: Path) -> None:
    MANIFEST.publish(path)
    publish_json(path, {name: value for name, value in read_json(path).items() if name != "startup"})
    assert read_manifest(path) == replace(MANIFEST, startup={})


def test_a_manifest_carries_the_version_of_its_schema_and_a_later_one_replaces_it(path: Path) -> None:
    MANIFEST.publish(path)
    assert read_json(path)["schema_version"] == 1
    later = replace(MANIFEST, new=0, reused=120)
    later.publish(path)
    assert read_manifest(path) == later


def test_a_missing_manifest_is_not_a_damaged_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(path)


#: Changes of a manifest's JSON that make it another thing.
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no photos": lambda values: {name: value for name, value in values.items() if name != "photos"},
    "more": lambda values: {**values, "more": 1},
    "no version": lambda values: {name: value for name, value in values.items() if name != "schema_version"},
    "no shards": lambda values: {**values, "shards": None},
    "a list": lambda values: [values],
    "null": lambda _: None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_json_is_refused_with_the_remedy(path: Path, change: str) -> None:
    MANIFEST.publish(path)
    publish_json(path, CHANGES[change](read_json(path)))
    with pytest.raises(StoreError, match=re.escape(f"{path} is not a manifest of this version. Delete it")):
        read_manifest(path)


def test_a_manifest_of_another_version_is_refused_with_both_versions(path: Path) -> None:
    MANIFEST.publish(path)
    publish_json(path, read_json(path) | {"schema_version": 2})
    with pytest.raises(StoreError, match=re.escape(f"{path} has schema version 2, this is 1. Delete it")):
        read_manifest(path)
