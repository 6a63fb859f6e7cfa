"""The walk on this machine: which files are photos, and which are ignored for which reason."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image

from tasks.errors import DatasetError
from tasks.snapshot.listing import Listing, PhotoFile, fingerprint_rows
from tasks.snapshot.walk import list_files
from tests.snapshot.photo_files import make_too_deep, put


def touch(root: Path, *paths: str, data: bytes = b"x") -> None:
    put(root, dict.fromkeys(paths, data))


def paths(root: Path) -> list[str]:
    return [file.path for file in list_files(root).files]


def ignored(root: Path) -> dict[str, int]:
    return dict(list_files(root).ignored.counts)


def test_files_of_all_depths_are_listed_in_the_order_of_their_paths(tmp_path: Path) -> None:
    touch(tmp_path, "tulips/b.jpg", "tulips/2024/may/a.jpg", "roses/c.jpg", "roses-2/a.jpg")
    assert paths(tmp_path) == ["roses-2/a.jpg", "roses/c.jpg", "tulips/2024/may/a.jpg", "tulips/b.jpg"]


def test_a_file_has_its_size_and_its_mtime_ctime_and_inode_to_the_nanosecond(tmp_path: Path) -> None:
    touch(tmp_path, "roses/a.jpg", data=b"12345")
    os.utime(tmp_path / "roses" / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    status = (tmp_path / "roses" / "a.jpg").stat()
    assert status.st_mtime_ns // 1_000_000_000 == 1_234_567_890
    version = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    assert list_files(tmp_path).files == (PhotoFile("roses/a.jpg", 5, version, status.st_ctime_ns),)


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        (["roses/.a.jpg", "roses/.cache/a.jpg", "roses/.cache/b.jpg", ".git/a.jpg", "roses/._a.jpg"], {"hidden": 4}),
        (["roses/Thumbs.db", "roses/desktop.ini", "roses/Desktop.ini", "__MACOSX/roses/a.jpg"], {"system file": 4}),
        (["LICENSE.txt", "#recycle/roses/a.jpg", "$RECYCLE.BIN/a.jpg"], {"licence": 1, "system file": 2}),
        (["roses/@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg"], {"system file": 1}),
        (["a.jpg", "b.nef", "notes.txt"], {"outside a label": 1, "raw photo": 1, "not a photo": 1}),
    ],
)
def test_files_are_ignored_by_their_names_and_places_and_a_folder_counts_once(
    tmp_path: Path, files: list[str], counts: dict[str, int]
) -> None:
    touch(tmp_path, "roses/a.jpg", *files)
    assert (paths(tmp_path), ignored(tmp_path)) == (["roses/a.jpg"], counts)


def test_an_ignored_folder_ends_with_a_slash_and_a_linked_one_too(tmp_path: Path) -> None:
    touch(tmp_path, "roses/@eaDir/a.jpg", "roses/Thumbs.db", "roses/a.jpg")
    (tmp_path / "roses" / "more").symlink_to(tmp_path)
    (tmp_path / "roses" / ".away").symlink_to(tmp_path)
    assert list_files(tmp_path).summarise_ignored().examples == {
        "hidden": ["roses/.away"],
        "linked folder": ["roses/more/"],
        "system file": ["roses/@eaDir/", "roses/Thumbs.db"],
    }


def test_a_photo_is_known_by_its_suffix_in_any_case_without_being_read(tmp_path: Path) -> None:
    suffixes = "jpg JPG jpeg jpe jfif png webp gif Bmp tif tiff heic ppm PGM pbm pnm jp2 j2k jpf jpx"
    wanted = sorted(f"roses/a.{suffix}" for suffix in suffixes.split())
    touch(tmp_path, *wanted, data=b"")
    assert paths(tmp_path) == wanted


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_a_photo_without_a_photo_s_suffix_is_known_by_its_first_bytes(tmp_path: Path, kind: str) -> None:
    names = ["IMG.2024-05-01", "a.HTML", "a.dat", "a.mp4", "a.txt", "jpg", "photo", "photo.orig"]
    (tmp_path / "roses").mkdir()
    for name in names:
        Image.new("RGB", (3, 2), "red").save(tmp_path / "roses" / name, kind)
    assert paths(tmp_path) == [f"roses/{name}" for name in names]


@pytest.mark.parametrize(
    "data", [b"P5\n# by hand\n4 4\n", b"P2\r\n640 480\n", b"P4 \n 1 1\n", b"\xff\x4f\xff\x51\0\x29"]
)
def test_bare_formats_are_known_by_their_first_bytes_in_every_spelling(tmp_path: Path, data: bytes) -> None:
    touch(tmp_path, "roses/thing", data=data)
    assert paths(tmp_path) == ["roses/thing"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        *(("thing", data, "not a photo") for data in (b"", b"BM", b"BMW and other makes", b"RIFF\0\0\0\0WAVEfmt ")),
        *(("thing", data, "not a photo") for data in (b"#!/bin/sh", b"II*", b"P5 10 20 of a table", b"P7\n1 1\n")),
        *(("thing", data, "not a photo") for data in (b"P6", b"P1\nis the first")),
        ("a.json", b"{}", "not a photo"),
        ("a.dat", b"x", "not a photo"),
        # The suffix of a raw photo decides, whatever the file begins with.
        *((name, b"II*\0 and so on", "raw photo") for name in ("a.nef", "a.CR2", "a.dng", "a.Arw")),
        ("a.jxl", b"x", "unsupported image format"),
        ("a", b"\xff\x0a and so on", "unsupported image format"),
        ("a.dat", b"\0\0\0\x0cJXL \r\n\x87\n", "unsupported image format"),
        ("a", b"\0\0\0\x18ftypheic", "unsupported image format"),
        ("a.PSD", b"8BPS", "unsupported image format"),
        ("a.mov", b"\0\0\0\x18ftypqt  ", "video"),
    ],
)
def test_a_file_that_is_no_photo_is_ignored_by_its_kind(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    touch(tmp_path, f"roses/{name}", data=data)
    assert ignored(tmp_path) == {reason: 1}


def test_pipes_sockets_and_broken_links_are_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "roses"
    folder.mkdir()
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe without a suffix")
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / "device.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # a socket's path may have about 100 characters only
        server.bind("socket.jpg")
    assert (paths(tmp_path), ignored(tmp_path)) == ([], {"not a regular file": 6})


def test_names_that_are_not_utf8_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "roses/ü.jpg")
    try:
        (tmp_path / "roses" / os.fsdecode(b"caf\xe9.jpg")).touch()
        (tmp_path / os.fsdecode(b"\xff")).mkdir()
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    summary = list_files(tmp_path).summarise_ignored()
    assert (paths(tmp_path), summary.counts) == (["roses/ü.jpg"], {"name not UTF-8": 2})
    assert summary.examples == {"name not UTF-8": ["roses/caf\\xe9.jpg", "\\xff/"]}


def test_links_to_files_and_a_linked_label_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.jpg", data=b"12345")
    root = tmp_path / "dataset"
    (root / "roses").mkdir(parents=True)
    (root / "roses" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    (root / "tulips").symlink_to(tmp_path / "elsewhere")
    assert [(file.path, file.size) for file in list_files(root).files] == [("roses/link.jpg", 5), ("tulips/a.jpg", 5)]


def test_linked_folders_below_a_label_are_ignored_so_that_a_circle_ends(tmp_path: Path) -> None:
    touch(tmp_path, "roses/a.jpg")
    (tmp_path / "roses" / "up").symlink_to(tmp_path)
    (tmp_path / "circle").symlink_to(tmp_path)
    assert paths(tmp_path) == ["circle/roses/a.jpg", "roses/a.jpg"]
    # The circle leads to itself, and to the link inside roses.
    assert ignored(tmp_path) == {"linked folder": 3}


@pytest.mark.parametrize("name", ["nowhere", "file.jpg"])
def test_a_root_that_is_missing_or_a_file_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "file.jpg")
    with pytest.raises(DatasetError, match=rf"no folder of photos at .*/{name}"):
        list_files(tmp_path / name)


def test_a_folder_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "dataset" / "roses").mkdir(parents=True)
    make_too_deep(tmp_path / "dataset" / "roses")
    with pytest.raises(DatasetError, match=r"The folder .*/roses/d+.* cannot be read"):
        list_files(tmp_path / "dataset")
    # Pytest's own removal gives up on it.
    shutil.rmtree(tmp_path / "dataset")


def test_the_state_is_the_same_as_long_as_paths_sizes_and_versions_are(tmp_path: Path) -> None:
    touch(tmp_path, "roses/a.jpg", "tulips/b.jpg")
    state = list_files(tmp_path).state()
    touch(tmp_path, "roses/.hidden")
    assert list_files(tmp_path).state() == state


@pytest.mark.parametrize(
    "other", [("roses/b.jpg", 1, "2"), ("tulips/a.jpg", 1, "2"), ("roses/a.jpg", 2, "2"), ("roses/a.jpg", 1, "3")]
)
def test_the_state_tells_a_change_of_path_size_or_version(other: tuple[str, int, str]) -> None:
    assert Listing((PhotoFile("roses/a.jpg", 1, "2"),)).state() != Listing((PhotoFile(*other),)).state()


def test_a_fingerprint_keeps_strings_and_rows_apart() -> None:
    rows: list[list[tuple[str, ...]]] = [[("a", "b")], [("ab",)], [("a",), ("b",)], [("", "ab")], [("b",), ("a",)]]
    assert len({fingerprint_rows(row) for row in rows}) == len(rows)
