"""Bombs and floods end at a limit, long before the disk is full, and leave nothing."""

import gzip
import shutil
import zipfile
from pathlib import Path

import pytest

from tasks.download import limits, members
from tasks.errors import DownloadError, MachineError
from tests.download.archive_files import (
    COMPRESS,
    EVERY_PACK,
    GOOD,
    Pack,
    extracted,
    files_below,
    stage_error,
    tar,
    zipped,
)
from tests.download.fetching import Disk

ZEROS = bytes(20_000_000)
ONE_FILE = tar([("x.jpg", ZEROS)])
MANY_FILES = [(f"{number}.jpg", ZEROS[:200_000]) for number in range(100)]

#: Archives of a few kilobytes that unpack to 20 MB.
BOMBS: dict[str, bytes] = {
    **{name: compress(ONE_FILE) for name, compress in COMPRESS.items()},
    "gz in gz": gzip.compress(gzip.compress(ZEROS, 1) * 50, 9),
    "many streams": b"".join(gzip.compress(ONE_FILE[at : at + 100_000]) for at in range(0, len(ONE_FILE), 100_000)),
    "the padding": gzip.compress(tar([("x.jpg", b"photo")]) + ZEROS, 1),
    "many members": gzip.compress(tar(MANY_FILES), 1),
    "zip": zipped([("x.jpg", ZEROS)]),
    "zip of bz2": zipped([("x.jpg", ZEROS)], zipfile.ZIP_BZIP2),
    "zip of xz": zipped([("x.jpg", ZEROS)], zipfile.ZIP_LZMA),
    "zip of many members": zipped(MANY_FILES),
}


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused(held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(limits, "SMALL", 1_000_000)
    text = stage_error(held, tmp_path, data)
    if "no tar" not in text:
        assert "more than 100 times its size is taken for a bomb" in text
        assert "extract it yourself where you trust it, and give the folder to --dataset" in text
    with pytest.raises(DownloadError):
        extracted(tmp_path, data)
    written = sum(len(data) for data in files_below(tmp_path / "extracted").values())
    # Where a bomb of bz2 begins is seen only once 64 KiB of it were read.
    assert written <= max(1_300_000, 100 * (1 << 16))


def test_a_small_file_may_shrink_a_hundredfold(tmp_path: Path) -> None:
    files, _ = extracted(tmp_path, BOMBS["gz"])
    assert [len(data) for data in files.values()] == [len(ZEROS)]


FLOODS = {
    "files": [f"{number}.jpg" for number in range(101)],
    "files in folders": [f"{number}/x.jpg" for number in range(51)],
    "folders in folders": [f"{number}/" + "a/" * 29 + "x.jpg" for number in range(4)],
}


@EVERY_PACK
@pytest.mark.parametrize("names", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_members_is_refused(
    held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack, names: list[str]
) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 100)
    text = stage_error(held, tmp_path, pack([(name, b"") for name in names]))
    for part in ("100", "files and folders", "extract it yourself"):
        assert part in text


@EVERY_PACK
def test_as_many_members_as_the_cap_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 100)
    assert len(extracted(tmp_path, pack([(name, b"") for name in FLOODS["files"][:100]]))[0]) == 100


@pytest.mark.parametrize("name", ["tar", "bz2", "zip"])
def test_too_many_bytes_are_refused(held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 2000)
    assert "unpacks to more than 0.0 MB, the most that is extracted" in stage_error(held, tmp_path, GOOD[name])


@pytest.mark.parametrize("data", [ONE_FILE, BOMBS["gz"], BOMBS["zip"]], ids=["tar", "gz", "zip"])
def test_too_small_a_disk(held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(12_000_000))
    text = stage_error(held, tmp_path, data, MachineError)
    assert "it unpacks to more than the disk has room for" in text
    assert "move the data root to a larger disk" in text


@pytest.mark.parametrize(
    ("disk", "writable"), [(Disk(12_000_000), 7_000_000), (Disk(1_000_000), 0), (Disk(10**12, 10**13), 10**12 - 10**9)]
)
def test_some_disk_space_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, writable: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    assert limits.writable_bytes(tmp_path) == writable


def test_a_long_list_of_a_zip_is_refused_unread(held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_MAX_LIST", 100_000)
    text = stage_error(held, tmp_path, zipped([(f"{number}", b"") for number in range(3000)]))
    assert "its list of members has more than 100,000 bytes" in text
