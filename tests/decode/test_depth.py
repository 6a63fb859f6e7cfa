"""Values of 16 bits that use fewer: where white is."""

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.decode.depth import FULL, Depth, find_white
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.repair import Flaw
from tests.decode.drawing import Pixels, encode, noise, png
from tests.decode.valid import EXACT

SHOWN = noise(20, 20)
GREY = SHOWN[..., 0]


def narrow(shown: Pixels, bits: int) -> npt.NDArray[np.uint16]:
    """What a sensor of so many bits writes: the whole of its range."""
    values: npt.NDArray[np.uint16] = np.rint(shown / 255 * (2**bits - 1)).astype(np.uint16)
    return values


def rows(values: Any) -> bytes:
    """The scan lines of a PNG."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)


def with_significant(data: bytes, bits: bytes) -> bytes:
    content = b"sBIT" + bits
    chunk = struct.pack(">I", len(bits)) + content + struct.pack(">I", zlib.crc32(content))
    return data[:33] + chunk + data[33:]


def decoded(data: bytes) -> tuple[Pixels, tuple[Flaw, ...]]:
    picture = decode_photo(data, EXACT)
    return read_pixels(picture.image), picture.flaws


def differ(pixels: Pixels, shown: Pixels) -> int:
    return int(np.abs(pixels.astype(int) - (shown if shown.ndim > 2 else shown[..., None])).max())


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_grey_of_a_sensor_has_its_white_at_the_sensors_most(form: str, bits: int) -> None:
    pixels, told = decoded(encode(Image.fromarray(narrow(GREY, bits)), form))
    assert differ(pixels, GREY) <= 1
    assert told == (Flaw.LOW_VALUES,)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_a_sensor_have_their_white_at_the_sensors_most(bits: int, channels: int) -> None:
    values = narrow(SHOWN, bits)
    if channels == 4:
        values = np.concatenate([values, np.full((20, 20, 1), 65535, np.uint16)], axis=2)
    pixels, told = decoded(png(20, 20, 16, 2 if channels == 3 else 6, rows(values)))
    assert differ(pixels, SHOWN) <= 1
    assert told == (Flaw.LOW_VALUES,)


def test_colours_of_a_tiff_likewise() -> None:
    values = narrow(SHOWN, 12)
    for order, start in (("<", b"II*\0"), (">", b"MM\0*")):
        tags = {256: 20, 257: 20, 258: 16, 259: 1, 262: 2, 273: 512, 277: 3, 278: 20, 279: values.nbytes}
        # A value of two bytes stands at the left of its four.
        entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
        entries = entries.replace(
            struct.pack(f"{order}HHIHH", 258, 3, 1, 16, 0), struct.pack(f"{order}HHII", 258, 3, 3, 400)
        )
        head = start + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)
        data = head.ljust(400, b"\0") + struct.pack(f"{order}3H", 16, 16, 16)
        pixels, told = decoded(data.ljust(512, b"\0") + values.astype(f"{order}u2").tobytes())
        assert differ(pixels, SHOWN) <= 1
        assert told == (Flaw.LOW_VALUES,)


def test_values_of_16_bits_keep_their_white() -> None:
    values = SHOWN.astype(np.uint16) * 257
    for data, shown in (
        (encode(Image.fromarray(values[..., 0]), "PNG"), GREY),
        (png(20, 20, 16, 2, rows(values)), SHOWN),
    ):
        pixels, told = decoded(data)
        assert (differ(pixels, shown), told) == (0, ())


def test_a_photo_without_any_light_stays_black() -> None:
    for data in (
        encode(Image.fromarray(np.full((20, 20), 3, np.uint16)), "PNG"),
        png(20, 20, 16, 2, rows(np.zeros((20, 60)))),
    ):
        assert decoded(data)[0].max() <= 3


@pytest.mark.parametrize("white", [1023, 4095])
def test_a_dark_photo_is_as_dark_as_it_is_where_the_file_says_where_white_is(white: int) -> None:
    dark = np.rint(GREY // 8 / 255 * white)
    pixels, told = decoded(f"P5 20 20 {white}\n".encode() + dark.astype(">u2").tobytes())
    assert differ(pixels, GREY // 8) <= 1
    assert told == ()


@pytest.mark.parametrize("shift", [0, 4], ids=["lower, as the values say", "upper, as the standard says"])
def test_significant_bits_of_a_png_are_the_lower_or_the_upper_ones(shift: int) -> None:
    dark = narrow(GREY // 8, 12) << shift
    pixels, told = decoded(with_significant(encode(Image.fromarray(dark), "PNG"), b"\x0c"))
    assert differ(pixels, GREY // 8) <= 1
    assert told == ()


def test_a_tiff_that_packs_12_bits_is_shown_by_its_header() -> None:
    dark = narrow(GREY // 8, 12).reshape(-1, 2).astype(np.uint32)
    packed = dark[:, 0] << 12 | dark[:, 1]
    strip = np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8).tobytes()
    tags = {256: 20, 257: 20, 258: 12, 259: 1, 262: 1, 273: 200, 277: 1, 278: 20, 279: len(strip)}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    data = (b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)).ljust(200, b"\0") + strip
    pixels, told = decoded(data)
    assert differ(pixels, GREY // 8) <= 1
    assert told == ()


@pytest.mark.parametrize(
    ("highest", "white"),
    [(0, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4096, 16383), (16383, 16383), (16384, FULL)],
)
def test_white_is_the_most_of_the_next_sensor(highest: int, white: int) -> None:
    assert find_white(np.array([0, highest], np.uint16), Depth()) == white
