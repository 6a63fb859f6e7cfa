"""Bombs and floods end at a cap, long before the disk is full, and leave nothing."""

import bz2
import gzip
import lzma
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.download import limits, members
from tasks.download.archives import extract
from tasks.errors import DownloadError, MachineError
from tasks.progress import NullProgress
from tests.download.archive_files import GOOD, files_below, member, take, tar, zipped

ZEROS = bytes(20_000_000)
ONE_FILE = tar([("x.jpg", ZEROS)])
PADDING = tar([("x.jpg", b"photo")]) + ZEROS

#: Archives of a few kilobytes that unpack to 20 MB.
BOMBS: dict[str, bytes] = {
    "gz": gzip.compress(ONE_FILE, 1),
    "bz2": bz2.compress(ONE_FILE, 1),
    "xz": lzma.compress(ONE_FILE, preset=0),
    "gz in gz": gzip.compress(gzip.compress(ZEROS, 1) * 50, 9),
    "many streams": b"".join(gzip.compress(ONE_FILE[at : at + 100_000]) for at in range(0, len(ONE_FILE), 100_000)),
    "the padding": gzip.compress(PADDING, 1),
    "many members": gzip.compress(tar([(f"{number}.jpg", ZEROS[:200_000]) for number in range(100)]), 1),
    "zip": zipped([("x.jpg", ZEROS)]),
    "zip of bz2": zipped([("x.jpg", ZEROS)], zipfile.ZIP_BZIP2),
    "zip of xz": zipped([("x.jpg", ZEROS)], zipfile.ZIP_LZMA),
    "zip of many members": zipped([(f"{number}.jpg", ZEROS[:200_000]) for number in range(100)]),
}


def refused(tmp_path: Path, data: bytes, kind: type[Exception] = DownloadError) -> str:
    """The error that an archive ends with; nothing is published, and what was there stays."""
    archive, root = tmp_path / "archive", tmp_path / "data"
    archive.write_bytes(data)
    before = files_below(root)
    with pytest.raises(kind) as caught:
        take(root, archive)
    assert files_below(root) == before
    assert not list(root.rglob(".tmp-*"))
    return str(caught.value)


@pytest.fixture
def held(tmp_path: Path) -> None:
    """A good archive was extracted before."""
    (tmp_path / "archive").write_bytes(GOOD["gz"])
    take(tmp_path / "data", tmp_path / "archive")


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(limits, "SMALL", 1_000_000)
    text = refused(tmp_path, data)
    if "no tar" not in text:
        assert "more than 100 times its size is taken for a bomb" in text
        assert "extract it yourself where you trust it, and give the folder to --dataset" in text


@pytest.mark.parametrize("data", [data for what, data in BOMBS.items() if what != "gz in gz"])
def test_a_bomb_is_stopped_while_it_is_extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(limits, "SMALL", 1_000_000)
    (tmp_path / "archive").write_bytes(data)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DownloadError):
        extract(tmp_path / "archive", tmp_path / "folder", NullProgress())
    written = sum(len(data) for data in files_below(tmp_path / "folder").values())
    # Where a bomb of bz2 begins is seen only once 64 KiB of it were read.
    assert written <= max(1_300_000, 100 * (1 << 16))


def test_what_shrinks_a_hundredfold_is_taken_while_it_is_small(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(BOMBS["gz"])
    take(tmp_path / "data", tmp_path / "archive")
    assert [len(data) for name, data in files_below(tmp_path / "data").items() if name.endswith(".jpg")] == [len(ZEROS)]


PACK: dict[str, Callable[[list[str]], bytes]] = {
    "tar": lambda names: gzip.compress(tar([member(name) for name in names])),
    "zip": lambda names: zipped([(name, b"") for name in names]),
}
FLOODS = {
    "files": [f"{number}.jpg" for number in range(101)],
    "files in folders": [f"{number}/x.jpg" for number in range(51)],
    "folders in folders": [f"{number}/" + "a/" * 29 + "x.jpg" for number in range(4)],
}


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
@pytest.mark.parametrize("names", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[list[str]], bytes], names: list[str]
) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 100)
    text = refused(tmp_path, pack(names))
    assert "100" in text
    assert "files and folders" in text
    assert "extract it yourself" in text


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_as_many_members_as_the_cap_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[list[str]], bytes]
) -> None:
    monkeypatch.setattr(limits, "MAX_FILES", 100)
    (tmp_path / "archive").write_bytes(pack(FLOODS["files"][:100]))
    (tmp_path / "folder").mkdir()
    assert extract(tmp_path / "archive", tmp_path / "folder", NullProgress()).files == 100


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("name", ["tar", "bz2", "zip"])
def test_more_bytes_than_the_cap_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 2000)
    assert "unpacks to more than 0.0 MB, the most that is extracted" in refused(tmp_path, GOOD[name])


class Disk(NamedTuple):
    """A disk of 100 MB, as shutil tells of it."""

    free: int
    total: int = 100_000_000


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("data", [ONE_FILE, BOMBS["gz"], BOMBS["zip"]], ids=["tar", "bz2", "zip"])
def test_what_the_disk_has_no_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=12_000_000))
    text = refused(tmp_path, data, MachineError)
    assert "more than the disk of" in text
    assert "move the data root to a larger disk" in text


def test_a_twentieth_of_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=12_000_000))
    assert limits.writable_bytes(tmp_path) == 7_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=1_000_000))
    assert limits.writable_bytes(tmp_path) == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=10**12, total=10**13))
    assert limits.writable_bytes(tmp_path) == 10**12 - 10**9


def test_a_zip_whose_list_of_members_is_long_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_MAX_LIST", 100_000)
    text = refused(tmp_path, zipped([(f"{number}", b"") for number in range(3000)]))
    assert "its list of members has more than 100,000 bytes" in text
