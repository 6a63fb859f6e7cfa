"""The version of an object, by the facts that each store's library returns."""

import datetime as dt
from typing import Any

import pytest

from tasks.storage.remote_listing import _version

TIME = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STORES: dict[str, dict[str, Any]] = {
    "S3": {"ETag": '"one"', "LastModified": TIME, "Size": 5},
    "S3 of several versions": {"ETag": '"one"', "LastModified": TIME, "Size": 5, "VersionId": "v1"},
    "Google": {"etag": "one", "generation": "17", "mtime": TIME, "size": 5},
    "Azure": {"etag": "one", "version_id": "v1", "last_modified": TIME, "size": 5},
}


@pytest.mark.parametrize("store", STORES)
def test_the_version_of_an_object_changes_with_each_write(store: str) -> None:
    facts = STORES[store]
    before = _version(facts)
    assert _version(dict(facts)) == before
    for name, value in facts.items():
        if name.lower() != "size":
            other = value + dt.timedelta(seconds=1) if isinstance(value, dt.datetime) else f"{value}2"
            assert _version({**facts, name: other}) != before


def test_a_store_without_such_facts_gives_no_version() -> None:
    assert _version({"size": 5}) == ""
