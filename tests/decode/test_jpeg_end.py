"""A JPEG without its end marker: used where all of its pixels are there, and never where one bit of them is missing."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.decode.images import decode_photo
from tasks.decode.jpeg_end import END, with_end_marker
from tasks.decode.rejections import Reason
from tasks.decode.repair import Flaw
from tests.decode.drawing import EXACT, encode, noise, rejection_of, smooth

CODINGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "no subsampling": {"subsampling": 0, "quality": 100},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "progressive restarts": {"restart_marker_rows": 1, "progressive": True, "subsampling": 0},
    "optimised": {"optimize": True, "quality": 30},
}


def photos() -> Iterator[Image.Image]:
    """Photos whose sides are whole blocks and not, with much detail and with little, of each number of channels."""
    yield Image.fromarray(noise(64, 48))
    yield smooth(101, 75)
    yield smooth(33, 17).convert("L")
    yield smooth(40, 40).convert("CMYK")


def pixels_of(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as photo:
        return photo.tobytes()


@pytest.fixture(params=list(CODINGS.values()), ids=list(CODINGS))
def coded(request: pytest.FixtureRequest) -> list[bytes]:
    """Photos of one coding."""
    return [encode(photo, "JPEG", **request.param) for photo in photos()]


@pytest.mark.parametrize(
    "rest",
    [b"", b"\xff", bytes(3), bytes(500), b"\xff" * 500, b"\xff\xd8\xff\xe0\0\x10JFIF"],
    ids=["nothing", "half a marker", "few zeros", "zeros", "erased memory", "next photo"],
)
def test_a_photo_that_lacks_only_its_end_marker_gets_it(coded: list[bytes], rest: bytes) -> None:
    for data in coded:
        assert with_end_marker(data[: -len(END)] + rest) == data


@pytest.mark.parametrize(
    "rest", [b"", bytes(2), bytes(500), b"\xff" * 500], ids=["nothing", "two zeros", "zeros", "erased"]
)
def test_a_photo_that_lacks_the_last_bytes_of_its_pixels_does_not(coded: list[bytes], rest: bytes) -> None:
    for data in coded:
        for missing in range(len(END) + 1, min(len(END) + 200, len(data) - 20)):
            assert with_end_marker(data[:-missing] + rest) is None, missing


def test_a_photo_that_is_cut_anywhere_or_whose_end_is_overwritten_does_not(coded: list[bytes]) -> None:
    random = np.random.default_rng(0)
    for data in coded:
        for length in random.integers(1, len(data) - len(END), 60).tolist():
            assert with_end_marker(data[:length]) is None, length
        for length in random.integers(len(data) // 2, len(data) - 20, 10).tolist():
            assert with_end_marker(data[:length] + random.bytes(2000)) is None, length


def test_a_progressive_photo_that_lacks_a_whole_scan_does_not() -> None:
    data = encode(smooth(64, 48), "JPEG", progressive=True)
    scans = [place for place in range(len(data)) if data.startswith((b"\xff\xda", b"\xff\xc4"), place)]
    assert len(scans) > 5
    assert [with_end_marker(data[:start]) for start in scans] == [None] * len(scans)


def test_what_is_wrong_otherwise_is_left_alone() -> None:
    data = encode(smooth(40, 30), "JPEG")
    assert with_end_marker(data) is None
    assert with_end_marker(b"\xff\xd8\xff\xe0" + bytes(100)) is None
    assert with_end_marker(b"\xff\xd8\xff\xda\0\x03\1") is None


def test_its_pixels_are_those_of_the_whole_photo_and_it_is_told() -> None:
    data = encode(smooth(400, 300), "JPEG")
    whole, ended = (decode_photo(file, EXACT) for file in (data, data[: -len(END)]))
    assert ended.image == whole.image
    assert (whole.flaws, ended.flaws) == ((), (Flaw.NO_END_MARKER,))
    assert rejection_of(data[: -len(END) - 1]) == Reason.TRUNCATED


def test_a_flat_photo_is_never_shown_with_other_pixels() -> None:
    """White to its end, all of its last bytes may be zeros: then nobody knows whether they are of the pixels."""
    flat = Image.fromarray(np.full((300, 300, 3), 255, np.uint8))
    for coding in CODINGS.values():
        data = encode(flat, "JPEG", **coding)
        for missing in range(len(END), 60):
            for rest in (b"", bytes(200)):
                whole = with_end_marker(data[:-missing] + rest)
                assert whole is None or pixels_of(whole) == pixels_of(data)
