"""Rules for names and suffixes: which no photo has, and which a label may have."""

import os

import pytest

from tasks.snapshot.photo_rules import ignored_by_name, kind_by_suffix


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb", "~snapshot", "lost+found"),
        *("$RECYCLE.BIN", "System Volume Information", "FOUND.000", "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"),
        *("desktop.ini", "Picasa.ini", "__MACOSX", "Network Trash Folder", "Temporary Items", "Icon\r"),
        *("SYNOFILE_THUMB_M.jpg", "SYNOPHOTO_THUMB_XL.jpg", "a.jpg@SynoEAStream"),
    ],
)
def test_files_of_systems_and_photo_programs_are_ignored_in_any_case(name: str) -> None:
    assert {ignored_by_name(each) for each in (name, name.upper(), name.lower())} == {"system file"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RECYCLER", "system file"),
        *((name, "hidden") for name in (".DS_Store", "._a.jpg", ".AppleDouble", ".@__thumb", ".Trash-1000")),
        *((name, "hidden") for name in (".thumbnails", ".picasaoriginals")),
        (os.fsdecode(b"caf\xe9.jpg"), "name not UTF-8"),
    ],
)
def test_other_names_are_ignored_as_they_are_written(name: str, reason: str) -> None:
    assert ignored_by_name(name) == reason


@pytest.mark.parametrize(
    "name",
    [
        *("recycle", "recycler", "Recycled", "snapshot", "thumbs", "thumbnails", "trash", "lost", "found", "temporary"),
        *("#1", "@home", "$5", "eaDir", "synofile", "my @eaDir", "#recycle 2", "desktop.ini.jpg", "バラ", "ü", ""),
    ],
)
def test_a_word_that_a_label_may_be_is_not_ignored(name: str) -> None:
    assert ignored_by_name(name) is None


def test_a_suffix_tells_a_photo_from_another_file_or_nothing() -> None:
    names = ("a.JPG", "a.nef", "a.json", "a.jxl", "a.dat", "jpg")
    kinds = ["photo", "raw photo", "not a photo", "unsupported image format", None, None]
    assert list(map(kind_by_suffix, names)) == kinds
