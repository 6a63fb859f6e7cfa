"""Names that no photo has, and names that a label may have."""

import os

import pytest

from tasks.snapshot.photo_rules import ignored_by_name


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "#recycle",
        "#snapshot",
        "@Recycle",
        "@Recently-Snapshot",
        "@__thumb",
        "~snapshot",
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        "FOUND.000",
        "lost+found",
        "__MACOSX",
        "Network Trash Folder",
        "Temporary Items",
        "Icon\r",
        "Thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "Picasa.ini",
        "SYNOFILE_THUMB_M.jpg",
        "SYNOPHOTO_THUMB_XL.jpg",
        "a.jpg@SynoEAStream",
    ],
)
def test_what_systems_and_photo_programs_leave_behind_is_a_system_file_in_any_case(name: str) -> None:
    assert ignored_by_name(name) == "system file"
    if name != "RECYCLER":
        assert ignored_by_name(name.upper()) == ignored_by_name(name.lower()) == "system file"


@pytest.mark.parametrize(
    "name", [".DS_Store", "._a.jpg", ".AppleDouble", ".@__thumb", ".Trash-1000", ".thumbnails", ".picasaoriginals"]
)
def test_what_begins_with_a_dot_is_hidden(name: str) -> None:
    assert ignored_by_name(name) == "hidden"


@pytest.mark.parametrize(
    "name",
    [
        *("recycle", "recycler", "Recycled", "snapshot", "thumbs", "thumbnails", "trash", "lost", "found", "temporary"),
        *("#1", "@home", "$5", "eaDir", "synofile", "my @eaDir", "#recycle 2", "desktop.ini.jpg", "バラ", "ü", ""),
    ],
)
def test_a_word_that_a_label_may_be_is_none_of_them(name: str) -> None:
    assert ignored_by_name(name) is None


def test_a_name_that_is_not_utf8_is_told_apart() -> None:
    assert ignored_by_name(os.fsdecode(b"caf\xe9.jpg")) == "name not UTF-8"
