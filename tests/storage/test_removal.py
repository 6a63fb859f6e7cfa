"""Removing what the stages keep, and nothing else."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tasks.errors import StoreError
from tasks.paths import AnyPath
from tasks.storage.files import lock_folder, publish_bytes, publishing
from tasks.storage.layout import DataRoot, PlaceT
from tasks.storage.removal import check_removable, measure, remove
from tasks.storage.survey import DiskUsage
from tests.support.processes import run


@pytest.fixture
def root(tmp_path: Path) -> DataRoot[Path]:
    """A data root of this machine with one head of two files."""
    return filled(tmp_path / "data")


def filled(path: PlaceT) -> DataRoot[PlaceT]:
    """A data root with one head of two files."""
    root = DataRoot(path)
    publish_bytes(root.train("cafe") / "manifest.json", b"{}")
    publish_bytes(root.train("cafe") / "checkpoints" / "head-1", bytes(100))
    return root


def test_a_file_or_folder_is_measured_and_removed_and_one_that_is_gone_is_no_harm(folder: AnyPath) -> None:
    root = filled(folder)
    head = root.train("cafe")
    assert measure(head) == DiskUsage(2, 102)
    remove(head / "manifest.json", root)
    assert measure(head) == DiskUsage(1, 100)
    for _ in range(2):
        remove(head, root)
    assert measure(root.path) == DiskUsage(0, 0)
    assert not Path(str(head)).exists()


@pytest.mark.parametrize("outside", ["..", ".", "../photos", "train/../../photos"])
def test_a_path_outside_of_the_root_is_left_alone(root: DataRoot[Path], outside: str) -> None:
    photo = root.path.parent / "photos" / "a.jpg"
    photo.parent.mkdir()
    photo.touch()
    with pytest.raises(StoreError, match="is not below the data root"):
        remove(root.path / outside, root)
    assert photo.exists()
    assert root.train("cafe").exists()


def test_a_path_outside_of_a_root_on_an_object_store_is_left_alone(far: AnyPath, tmp_path: Path) -> None:
    root = filled(far)
    for outside in (far, far.parent, far.with_name("other"), tmp_path):
        with pytest.raises(StoreError, match="is not below the data root"):
            remove(outside, root)
    assert measure(far) == DiskUsage(2, 102)


@pytest.mark.parametrize("linked", ["decode", "decode/abcd"])
def test_a_path_behind_a_link_is_left_alone(root: DataRoot[Path], linked: str) -> None:
    photo = root.path.parent / "photos" / "abcd" / "a.jpg"
    photo.parent.mkdir(parents=True)
    photo.touch()
    link = root.path / linked
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(photo.parent.parent if linked == "decode" else photo.parent)
    with pytest.raises(StoreError, match=r"is a link to .*, or lies behind one"):
        remove(root.decode("abcd"), root)
    assert photo.exists()
    assert link.is_symlink()


def test_a_link_inside_is_removed_and_a_data_root_may_itself_be_a_link(root: DataRoot[Path], tmp_path: Path) -> None:
    photo = root.path.parent / "photos" / "a.jpg"
    photo.parent.mkdir()
    photo.touch()
    (root.train("cafe") / "photos").symlink_to(photo.parent)
    (tmp_path / "link").symlink_to(root.path)
    linked = DataRoot(tmp_path / "link")
    assert measure(linked.train("cafe")).files == 2
    remove(linked.train("cafe"), linked)
    assert not root.train("cafe").exists()
    assert photo.exists()


def test_a_folder_that_a_process_works_in_or_writes_a_file_in_is_refused(folder: AnyPath) -> None:
    root = filled(folder)
    head = root.train("cafe")
    with lock_folder(head):
        for use in (remove, check_removable):
            with pytest.raises(StoreError, match="A process works in"):
                use(head, root)
    assert measure(head) == DiskUsage(2, 102)
    # The files of an object store are written in scratch.
    if root.storage.has_folders:
        with publishing(head / "checkpoints" / "head-2"), pytest.raises(StoreError, match="A process works in"):
            check_removable(head, root)


def test_killed_half_way_the_folder_is_gone_and_the_rest_is_swept_by_the_next_removal(root: DataRoot[Path]) -> None:
    for number in range(3):
        (root.train("cafe") / f"file-{number}").touch()
    # Dies at the first file that it is to remove.
    script = """
import os, shutil, signal, sys
from pathlib import Path
from tasks.storage.layout import DataRoot
from tasks.storage.removal import remove
shutil.rmtree = lambda folder: (next(Path(folder).glob("file-*")).unlink(), os.kill(os.getpid(), signal.SIGKILL))
root = DataRoot(Path(sys.argv[1]))
remove(root.train("cafe"), root)
"""
    assert run([sys.executable, "-c", script, root.path]).code == -signal.SIGKILL
    assert not root.train("cafe").exists()
    (left,) = root.train("cafe").parent.iterdir()
    assert left.name.startswith(".tmp-cafe-")
    remove(root.train("cafe"), root)
    assert not left.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove everything")
def test_a_folder_without_rights_is_reported(root: DataRoot[Path]) -> None:
    root.below("train").chmod(0o500)
    try:
        with pytest.raises(StoreError, match="cannot be removed"):
            remove(root.train("cafe"), root)
    finally:
        root.below("train").chmod(0o700)
