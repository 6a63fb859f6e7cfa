"""Which files are predicted."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.decode.photo_file import Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.errors import DatasetError
from tasks.predict.inputs import find_photos, list_photos


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder with one inside that lies too deep to be read, by root either."""
    root = tmp_path / "deep"
    root.mkdir()
    folder = os.open(root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=folder)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    yield root
    shutil.rmtree(root)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_photos_of_a_folder_are_found_at_any_depth_and_the_rest_is_left_out(tmp_path: Path) -> None:
    touch(*(tmp_path / name for name in ("b.jpg", "a/deep/x.PNG", "a/.hidden.jpg", "notes.txt", ".git/y.jpg")))
    (tmp_path / "round").symlink_to(tmp_path)
    listing = list_photos(tmp_path)
    assert [file.path for file in listing.files] == ["a/deep/x.PNG", "b.jpg"]
    assert listing.ignored.counts == {"hidden": 2, "linked folder": 1, "not a photo": 1}


def test_paths_are_given_back_as_they_were_named_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "in" / "a.jpg", tmp_path / "notes.txt")
    monkeypatch.chdir(tmp_path)
    found = find_photos([Path("notes.txt"), Path("in"), Path("in/a.jpg"), Path("missing.jpg"), Path()])
    # A file that is named is taken whatever its name, and whether it is there or not.
    assert found.photos == [Photo("", name) for name in ("notes.txt", "in/a.jpg", "missing.jpg")]
    assert found.refused == []
    assert found.ignored.counts == {"not a photo": 1}


def test_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder of photos at .*nowhere"):
        list_photos(tmp_path / "nowhere")


def test_folder_that_cannot_be_read_is_told_of_and_the_others_go_on(deep: Path, tmp_path: Path) -> None:
    touch(tmp_path / "good" / "a.jpg")
    found = find_photos([deep, tmp_path / "good"])
    assert found.photos == [Photo("", str(tmp_path / "good" / "a.jpg"))]
    ((photo, rejection, _),) = found.refused
    assert photo == Photo("", str(deep))
    assert isinstance(rejection, Rejection)
    assert rejection.reason == Reason.UNREADABLE
    assert re.match(r"The folder .*/deep/d+.* cannot be read", rejection.message)
