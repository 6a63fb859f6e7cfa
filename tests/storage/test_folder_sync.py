"""Folders that a library reads or writes itself: on an object store they are mirrored by ones of scratch."""

from pathlib import Path

import pytest

from tasks.paths import AnyPath
from tasks.storage import folder_sync
from tasks.storage.files import storage_at
from tests.storage.folders import names


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_sync, "UPLOAD_SECONDS", 0.0)


def write(here: Path, **texts: str) -> list[Path]:
    """Write files; returns them."""
    for name, text in texts.items():
        (here / name).write_text(text)
    return [here / name for name in texts]


def test_a_mirror_stores_kept_files_and_removes_those_removed_from_it(folder: AnyPath) -> None:
    storage = storage_at(folder)
    with storage.mirrored(folder) as mirror:
        assert storage.has_folders == (mirror.here == folder)
        mirror.keep(write(mirror.here, one="1", last="one"))
        mirror.settle()
        assert names(folder) == ["last", "one"]
        mirror.settle()
        (mirror.here / "one").unlink()
        mirror.keep(write(mirror.here, two="2", last="two"))
    assert names(folder) == ["last", "two"]
    with storage.mirrored(folder) as again:
        assert (again.here / "two").read_text() == "2"
        (again.here / "two").unlink()
        again.keep(write(again.here, last="none"))
    assert names(folder) == ["last"]
    assert (folder / "last").read_text() == "none"


def test_files_that_follow_soon_are_uploaded_at_the_end(far: AnyPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_sync, "UPLOAD_SECONDS", 3600.0)
    with storage_at(far).mirrored(far) as mirror:
        for number in range(3):
            mirror.settle()
            mirror.keep(write(mirror.here, **{f"n{number}": "", "last": f"n{number}"}))
        mirror.settle()
        assert names(far) == []
    assert names(far) == ["last", "n0", "n1", "n2"]


def test_the_last_file_is_not_put_there_without_the_others(far: AnyPath) -> None:
    def write_in_vain() -> None:
        with storage_at(far).mirrored(far) as mirror:
            (mirror.here / "missing").symlink_to(mirror.here / "nowhere")
            mirror.keep(write(mirror.here, last="missing"))

    with pytest.raises(FileNotFoundError):
        write_in_vain()
    assert names(far) == []


def test_fetched_files_are_those_that_match_and_exist_during_the_block(far: AnyPath, tmp_path: Path) -> None:
    with storage_at(far).fetched_files(far, "*") as here:
        assert list(here.iterdir()) == []
    for name in ("head-1.data", "head-2.data", "last"):
        (far / name).write_text(name)
    with storage_at(far).fetched_files(far, "head-2.*") as here:
        assert [path.read_text() for path in here.iterdir()] == ["head-2.data"]
    assert not list(tmp_path.rglob("head-*"))
