"""Extraction of whole, damaged and wrapped archives."""

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from tasks.download.archives import extract, verify
from tasks.errors import DownloadError, MachineError
from tasks.progress import NullProgress
from tests.download.archive_files import FILES, GOOD, extracted, files_below, member, refusal, tar
from tests.support.progress import Tally

EVERY_FORMAT = pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
#: Formats whose bytes stand under a checksum; a plain tar has one of its headers only.
CHECKED = {name: data for name, data in GOOD.items() if name not in {"tar", "gnu"}}
NOISE = hashlib.shake_256(b"noise").digest(5000)


def taken(folder: Path, data: bytes | bytearray) -> dict[str, bytes] | None:
    """The files that are extracted; None where the archive is refused."""
    try:
        return extracted(folder, data)[0]
    except DownloadError:
        return None


@EVERY_FORMAT
def test_only_names_and_bytes_are_extracted_whatever_the_archive_is_called(tmp_path: Path, data: bytes) -> None:
    begun = time.time()
    archive, folder, plain = tmp_path / "archive", tmp_path / "folder", tmp_path / "plain"
    archive.write_bytes(data)
    verify(archive, "https://x/photos")
    folder.mkdir()
    plain.touch()
    progress = Tally()
    assert extract(archive, folder, progress).files == len(FILES)
    assert (progress.done, progress.total, progress.unit) == (len(data), len(data), "B")
    assert files_below(folder) == FILES
    for path in folder.rglob("*.*"):
        status = path.stat()
        assert (status.st_mode, status.st_uid, status.st_gid) == (plain.stat().st_mode, os.getuid(), os.getgid())
        assert status.st_mtime > begun - 5


@EVERY_FORMAT
def test_cut_anywhere_it_is_refused_or_whole(tmp_path: Path, data: bytes) -> None:
    found = [taken(tmp_path, data[: len(data) * cut // 60]) for cut in range(60)]
    assert [files for files in found if files not in (None, FILES)] == []
    # Only the zeros that follow a tar's first block of zeros can be done without.
    assert FILES not in found[:10]


@EVERY_FORMAT
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_a_truncated_archive_is_named_with_its_remedy(tmp_path: Path, data: bytes, share: float) -> None:
    text = refusal(tmp_path, data[: int(len(data) * share)])
    assert "photos.tgz is damaged or is no tar" in text
    assert "Delete it and run again" in text


def test_a_tar_that_ends_between_two_members_is_damaged(tmp_path: Path) -> None:
    """Python's tarfile takes a missing or damaged header for the end."""
    data = bytearray(GOOD["tar"])
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        headers = [each.offset for each in opened.getmembers()]
    assert "damaged" in refusal(tmp_path, data[: headers[-1]])
    data[headers[1] + 150] ^= 0xFF
    assert "header is damaged" in refusal(tmp_path, data)


@pytest.mark.parametrize("data", CHECKED.values(), ids=CHECKED)
def test_with_any_bit_flipped_it_is_refused_or_the_same(tmp_path: Path, data: bytes) -> None:
    for number in range(100):
        flipped = bytearray(data)
        flipped[number * len(data) // 100] ^= 1 << number % 8
        found = taken(tmp_path, flipped)
        # A zip lists each name twice, its dates and rights nowhere else; only the names are compared.
        assert found is None or sorted(found.values()) == sorted(FILES.values())


@pytest.mark.parametrize("name", ["tar", "gnu"])
def test_a_flipped_bit_of_a_plain_tar_changes_no_name(tmp_path: Path, name: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(GOOD[name])) as opened:
        headers = [each.offset_data - tarfile.BLOCKSIZE for each in opened.getmembers()]
    for header in headers:
        for number in range(0, 64, 3):
            flipped = bytearray(GOOD[name])
            flipped[header + number * 8] ^= 1 << number % 8
            # Of the checksum itself, the last two characters say nothing.
            assert taken(tmp_path, flipped) in (None, FILES)


@EVERY_FORMAT
@pytest.mark.parametrize("garbage", [b"x", b"<html>", bytes(511) + b"x", NOISE, GOOD["gz"], GOOD["tar"], GOOD["zip"]])
def test_bytes_after_the_end_are_refused(tmp_path: Path, data: bytes, garbage: bytes) -> None:
    assert taken(tmp_path, data + garbage) is None
    assert taken(tmp_path, data + bytes(4096) + garbage) is None


@pytest.mark.parametrize("name", ["tar", "gnu", "gz", "bz2", "xz"])
def test_zeros_that_follow_the_end_are_padding(tmp_path: Path, name: str) -> None:
    assert taken(tmp_path, GOOD[name] + bytes(8192)) == FILES


STARTS = b"/\0/\x1f\x8b/BZh/BZh9/\xfd7zXZ\0/PK\3\4/PK\3\4junk/PK\5\6/".split(b"/")


@pytest.mark.parametrize("data", [*STARTS, bytes(511), b"\x89PNG\r\n\x1a\n" * 99, *(NOISE[at:] for at in range(5))])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, data: bytes) -> None:
    assert " no tar " in refusal(tmp_path, data)


def test_a_target_that_cannot_be_written_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(GOOD["tar"])
    (tmp_path / "flowers").write_text("a file where a folder should be")
    with pytest.raises(MachineError, match="could not be extracted"):
        extract(tmp_path / "archive", tmp_path, NullProgress())


def test_an_error_names_the_archive_and_the_member(tmp_path: Path) -> None:
    text = refusal(tmp_path, tar([member("good.jpg"), member("../outside.jpg")]))
    assert f"{tmp_path}/photos.tgz was not extracted: its member '../outside.jpg' would leave" in text
    assert set(files_below(tmp_path)) == {"photos.tgz", "extracted/good.jpg"}
