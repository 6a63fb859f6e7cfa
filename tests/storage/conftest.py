"""Folders of both storages."""

import tempfile
from pathlib import Path

import pytest

from tasks.paths import AnyPath, to_path
from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def _own_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty scratch for this test and the processes that it starts."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tasks.storage.tempfiles._own", {})


@pytest.fixture
def far(object_store: ObjectStore, _own_scratch: None) -> AnyPath:
    """A missing folder of an object store; its name has wildcards of the store's library."""
    return to_path(object_store.url("[1] a*b?"))


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AnyPath:
    """An empty folder of this machine, or a missing one of an object store."""
    if request.param == "remote":
        path: AnyPath = request.getfixturevalue("far")
        return path
    here = tmp_path / "[1] a*b?"
    here.mkdir()
    return here
