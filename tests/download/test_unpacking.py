"""Damage of every kind: an archive is taken whole, or refused; no damage makes it another one."""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.download.archives import extract
from tasks.errors import DownloadError
from tasks.progress import NullProgress
from tests.download.archive_files import FILES, GOOD, files_below, member, tar

EVERY_FORMAT = pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
#: Formats whose bytes stand under a checksum; a plain tar has one of its headers only.
CHECKED = {name: data for name, data in GOOD.items() if name not in {"tar", "gnu"}}
PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
NOISE = hashlib.shake_256(b"noise").digest(5000)
EVERY_PACKING = pytest.mark.parametrize("pack", PACK.values(), ids=PACK)


def taken(folder: Path, data: bytes) -> dict[str, bytes] | None:
    """What is extracted; None where the archive is refused."""
    target = folder / str(len(list(folder.iterdir())))
    target.mkdir()
    archive = folder / "archive"
    archive.write_bytes(data)
    try:
        extract(archive, target, NullProgress())
    except DownloadError:
        return None
    return files_below(target)


@EVERY_FORMAT
def test_cut_anywhere_it_is_refused_or_whole(tmp_path: Path, data: bytes) -> None:
    found = [taken(tmp_path, data[: len(data) * cut // 60]) for cut in range(60)]
    assert [files for files in found if files not in (None, FILES)] == []
    # Only the zeros that follow a tar's first block of zeros can be done without.
    assert FILES not in found[:10]


@pytest.mark.parametrize("data", CHECKED.values(), ids=CHECKED)
def test_with_any_bit_flipped_it_is_refused_or_the_same(tmp_path: Path, data: bytes) -> None:
    for number in range(100):
        flipped = bytearray(data)
        flipped[number * len(data) // 100] ^= 1 << number % 8
        found = taken(tmp_path, bytes(flipped))
        # A zip lists each name twice, its dates and rights nowhere else; only the names are compared.
        assert found is None or sorted(found.values()) == sorted(FILES.values())


@pytest.mark.parametrize("data", [GOOD["tar"], GOOD["gnu"]], ids=["pax", "gnu"])
def test_a_flipped_bit_of_a_plain_tar_changes_no_name(tmp_path: Path, data: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        headers = [each.offset_data - tarfile.BLOCKSIZE for each in opened.getmembers()]
    for header in headers:
        for number in range(0, 64, 3):
            flipped = bytearray(data)
            flipped[header + number * 8] ^= 1 << number % 8
            # Of the checksum itself, the last two characters say nothing.
            assert taken(tmp_path, bytes(flipped)) in (None, FILES)


@EVERY_FORMAT
@pytest.mark.parametrize("garbage", [b"x", b"<html>", bytes(511) + b"x", NOISE, GOOD["gz"], GOOD["tar"], GOOD["zip"]])
def test_what_follows_the_end_is_refused(tmp_path: Path, data: bytes, garbage: bytes) -> None:
    assert taken(tmp_path, data + garbage) is None
    assert taken(tmp_path, data + bytes(4096) + garbage) is None


@pytest.mark.parametrize("name", ["tar", "gnu", "gz", "bz2", "xz"])
def test_zeros_that_follow_the_end_are_padding(tmp_path: Path, name: str) -> None:
    assert taken(tmp_path, GOOD[name] + bytes(8192)) == FILES


@EVERY_PACKING
def test_streams_in_a_row_are_one(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """As pigz, pbzip2 and pixz write them."""
    whole = GOOD["tar"]
    pieces = [whole[start : start + 700] for start in range(0, len(whole), 700)]
    assert taken(tmp_path, b"".join(map(pack, pieces))) == FILES


@EVERY_PACKING
def test_an_archive_within_a_stream_within_a_stream_is_none(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    assert taken(tmp_path, pack(GOOD["tar"])) == FILES
    for name in ("gz", "bz2", "xz", "zip"):
        assert taken(tmp_path, pack(GOOD[name])) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", bytes(511), b"\x1f\x8b", b"BZh", b"BZh9", b"\xfd7zXZ\0", b"PK\3\4", b"PK\5\6", b"<html></html>" * 99]
    + [b"\xff\xd8\xff\xe0" + bytes(2000), b"\x89PNG\r\n\x1a\n" * 99, b"7z\xbc\xaf\x27\x1c" * 99, b"Rar!\x1a\7" * 99]
    + [NOISE[start:] for start in range(5)],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    assert taken(tmp_path, data) is None


def header_of(size: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar's header whose field of the size holds these 12 bytes."""
    block = bytearray(member("x", kind).tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [b"0", b"L", b"K", b"x", b"g", b"S", b"X", b"7"])
@pytest.mark.parametrize(
    "size",
    [
        b"\xff" * 12,
        b"\xff" * 10 + b"\xfc\x00",
        b"\x80" + b"\x7f" * 11,
        b"\x80" + bytes(4) + b"\xff" * 7,
        b"7" * 11 + b"\0",
    ],
    ids=["-1", "-1024", "2^95", "2^56", "8 GiB"],
)
def test_a_size_that_cannot_be_ends_at_once(tmp_path: Path, kind: bytes, size: bytes) -> None:
    begun = time.process_time()
    assert taken(tmp_path, (header_of(size, kind) + b"9 path=x\n".ljust(512, b"\0")) * 9 + bytes(1024)) is None
    assert time.process_time() - begun < 2


HEADERS: dict[str, bytes] = {
    "a long comment": tar([member("x", pax={"comment": "x" * 1_000_000})]),
    "a long name": tar([member("x" * 1_000_000)], form=tarfile.GNU_FORMAT),
    "a long link": tar([member("x", tarfile.SYMTYPE, "x" * 1_000_000)], form=tarfile.GNU_FORMAT),
    "digits": tar([member("x", pax={"comment": "1" * 200_000})]),
    "a chain of headers": header_of(b"00000001000\0", b"x") * 5000,
    "a chain of long names": (header_of(b"00000001000\0", b"L") + b"x" * 512) * 5000,
}


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS)
@EVERY_PACKING
def test_headers_without_end_are_refused_in_little_time_and_memory(
    tmp_path: Path, data: bytes, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(data)
    begun = time.process_time()
    tracemalloc.start()
    assert taken(tmp_path, packed) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # xz itself takes 9 MB.
    assert peak < 16_000_000
    assert time.process_time() - begun < 3


def saying_of_all(number: int) -> bytes:
    """A member of a tar, and before it a header that is about all members to come."""
    buffer = io.BytesIO()
    said = {f"comment{number}": "x" * 50_000}
    opened = tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=said)  # noqa: SIM115
    opened.addfile(member(str(number)))
    return buffer.getvalue()


def test_what_is_said_of_all_members_does_not_pile_up(tmp_path: Path) -> None:
    """Python's tarfile keeps it, and copies all of it for each member that follows."""
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(b"".join(map(saying_of_all, range(100))) + bytes(1024)))
    (tmp_path / "folder").mkdir()
    tracemalloc.start()
    assert extract(archive, tmp_path / "folder", NullProgress()).files == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000
