"""The files to predict."""

from pathlib import Path

import pytest

from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason, Rejection
from tasks.errors import DatasetError
from tasks.predict import inputs
from tasks.predict.inputs import find_photos
from tasks.snapshot.listing import Listing
from tasks.snapshot.walk import list_files


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_give_their_photos_at_any_depth_and_files_are_taken_as_they_are_named_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "b.jpg", "a/deep/x.PNG", "a/.hidden.jpg", "notes.txt", ".git/y.jpg", "other/z.jpg")
    (tmp_path / "round").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = find_photos([Path("notes.txt"), Path("other"), Path("other/z.jpg"), Path("missing.jpg"), Path()])
    names = ("notes.txt", "other/z.jpg", "missing.jpg", "a/deep/x.PNG", "b.jpg")
    assert found.photos == [Photo("", name) for name in names]
    assert found.refused == []
    assert found.ignored.counts == {"hidden": 2, "linked folder": 1, "not a photo": 1}


def test_folder_that_cannot_be_read_is_refused_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "bad/b.jpg", "good/a.jpg")

    def refuse(folder: Path, *, labelled: bool) -> Listing:
        if folder.name == "bad":
            raise DatasetError("The folder cannot be read.")
        return list_files(folder, labelled=labelled)

    monkeypatch.setattr(inputs, "list_files", refuse)
    found = find_photos([tmp_path / "bad", tmp_path / "good"])
    assert found.photos == [Photo("", str(tmp_path / "good" / "a.jpg"))]
    rejection = Rejection(Reason.UNREADABLE, "The folder cannot be read.")
    assert found.refused == [DecodeResult(Photo("", str(tmp_path / "bad")), rejection)]
