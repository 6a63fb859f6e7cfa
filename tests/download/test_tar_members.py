"""Tars: several streams, and headers that are made to take time or memory."""

import gzip
import io
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.download.archive_files import COMPRESS, FILES, GOOD, extracted, member, refusal, tar

EVERY_COMPRESSION = pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)


@EVERY_COMPRESSION
def test_streams_in_a_row_are_one(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """As pigz, pbzip2 and pixz write them."""
    whole = GOOD["tar"]
    pieces = [whole[start : start + 700] for start in range(0, len(whole), 700)]
    assert extracted(tmp_path, b"".join(map(compress, pieces))) == (FILES, [])


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
    refusal(tmp_path, (header_of(size, kind) + b"9 path=x\n".ljust(512, b"\0")) * 9 + bytes(1024))
    assert time.process_time() - begun < 4


HEADERS: dict[str, bytes] = {
    "a long comment": tar([member("x", pax={"comment": "x" * 1_000_000})]),
    "a long name": tar([member("x" * 1_000_000)], form=tarfile.GNU_FORMAT),
    "a long link": tar([member("x", tarfile.SYMTYPE, "x" * 1_000_000)], form=tarfile.GNU_FORMAT),
    "digits": tar([member("x", pax={"comment": "1" * 200_000})]),
    "a chain of headers": header_of(b"00000001000\0", b"x") * 5000,
    "a chain of long names": (header_of(b"00000001000\0", b"L") + b"x" * 512) * 5000,
}


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS)
@EVERY_COMPRESSION
def test_endless_headers_take_few_resources(tmp_path: Path, data: bytes, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(data)
    begun = time.process_time()
    tracemalloc.start()
    refusal(tmp_path, packed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # xz itself takes 9 MB.
    assert peak < 16_000_000
    assert time.process_time() - begun < 6


def saying_of_all(number: int) -> bytes:
    """A member of a tar, and before it a header that is about all members to come."""
    buffer = io.BytesIO()
    said = {f"comment{number}": "x" * 50_000}
    opened = tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=said)  # noqa: SIM115
    opened.addfile(member(str(number)))
    return buffer.getvalue()


def test_global_headers_do_not_accumulate(tmp_path: Path) -> None:
    """Python's tarfile keeps it, and copies all of it for each member that follows."""
    data = gzip.compress(b"".join(map(saying_of_all, range(100))) + bytes(1024))
    tracemalloc.start()
    assert len(extracted(tmp_path, data)[0]) == 100
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000
