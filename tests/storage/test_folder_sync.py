"""Folders that a library reads or writes itself: on an object store they are mirrored by ones of scratch."""

import tempfile
from pathlib import Path

import pytest

from tasks.paths import AnyPath, to_path
from tasks.storage import folder_sync
from tasks.storage.files import listed, storage_at
from tests.support.servers.object_store import ObjectStore


@pytest.fixture
def folder(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyPath:
    """A folder of a store, of which nothing is there; scratch is empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folder_sync, "SECONDS_APART", 0.0)
    return to_path(object_store.url("folder"))


def write(here: Path, **texts: str) -> list[Path]:
    """Write files; returns them."""
    for name, text in texts.items():
        (here / name).write_text(text)
    return [here / name for name in texts]


def names(folder: AnyPath) -> list[str]:
    return [path.name for path in listed(folder)]


def test_a_folder_of_this_machine_is_its_own_mirror(tmp_path: Path) -> None:
    with storage_at(tmp_path).mirrored(tmp_path) as mirror:
        assert mirror.here == tmp_path
        mirror.keep(write(tmp_path, one="1"))
    assert names(tmp_path) == ["one"]


def test_what_is_kept_is_on_the_store_and_what_is_gone_here_goes_there(folder: AnyPath) -> None:
    with storage_at(folder).mirrored(folder) as mirror:
        mirror.keep(write(mirror.here, one="1", last="one"))
        mirror.settle()
        assert names(folder) == ["last", "one"]
        mirror.settle()
        (mirror.here / "one").unlink()
        mirror.keep(write(mirror.here, two="2", last="two"))
    assert names(folder) == ["last", "two"]
    assert (folder / "last").read_text() == "two"


def test_what_follows_soon_waits_for_its_time_and_comes_with_the_end_at_the_latest(
    folder: AnyPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_sync, "SECONDS_APART", 3600.0)
    with storage_at(folder).mirrored(folder) as mirror:
        for number in range(3):
            mirror.settle()
            mirror.keep(write(mirror.here, **{f"n{number}": "", "last": f"n{number}"}))
        mirror.settle()
        assert names(folder) == []
    assert names(folder) == ["last", "n0", "n1", "n2"]


def test_a_later_mirror_begins_with_what_was_kept_and_clears_it_up_too(folder: AnyPath) -> None:
    with storage_at(folder).mirrored(folder) as mirror:
        mirror.keep(write(mirror.here, one="1", last="one"))
    with storage_at(folder).mirrored(folder) as again:
        assert (again.here / "one").read_text() == "1"
        (again.here / "one").unlink()
        again.keep(write(again.here, last="none"))
    assert names(folder) == ["last"]


def test_the_last_file_is_not_put_there_without_the_others(folder: AnyPath) -> None:
    def write_in_vain() -> None:
        with storage_at(folder).mirrored(folder) as mirror:
            (mirror.here / "missing").symlink_to(mirror.here / "nowhere")
            mirror.keep(write(mirror.here, last="missing"))

    with pytest.raises(FileNotFoundError):
        write_in_vain()
    assert names(folder) == []


def test_what_is_at_hand_is_what_was_asked_for_and_goes_with_the_block(folder: AnyPath, tmp_path: Path) -> None:
    with storage_at(folder).at_hand(folder, "*") as here:
        assert names(here) == []
    for name in ("head-1.data", "head-2.data", "last"):
        (folder / name).write_text(name)
    with storage_at(folder).at_hand(folder, "head-2.*") as here:
        assert [path.read_text() for path in here.iterdir()] == ["head-2.data"]
    assert not list(tmp_path.rglob("head-*"))


def test_a_folder_that_nobody_needs_is_removed_with_all_that_is_in_it(folder: AnyPath, tmp_path: Path) -> None:
    for place in (folder, tmp_path / "folder"):
        place.mkdir(exist_ok=True)
        for name in ("one", "two"):
            (place / name).write_text(name)
        storage_at(place).discard(place)
        storage_at(place).discard(place)
        assert names(place) == []
