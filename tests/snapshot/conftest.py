"""Fixtures of the snapshot's tests."""

from pathlib import Path

import pytest

from tasks.paths import AnyPath, to_path
from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def unreadable_file() -> Path:
    """A file that nobody can read from its beginning."""
    path = Path("/proc/self/mem")
    if not path.is_file():
        pytest.skip("only Linux has such a file")
    return path


@pytest.fixture
def remote_folder(object_store: ObjectStore) -> AnyPath:
    """An empty folder of an object store."""
    return to_path(object_store.url("photos"))
