"""Values of 16 bits that use fewer: where white is."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.decode.depth import FULL, Depth, find_white
from tasks.decode.repair import Flaw
from tests.decode.drawing import Pixels, chunk, decoded, encode, noise, png

SHOWN = noise(20, 20)
GREY = SHOWN[..., 0]
#: A photo that is really dark.
DARK = GREY // 8


def narrow(shown: Pixels, bits: int) -> npt.NDArray[np.uint16]:
    """Return the values of a sensor of so many bits, which uses the whole of its range."""
    values: npt.NDArray[np.uint16] = np.rint(shown / 255 * (2**bits - 1)).astype(np.uint16)
    return values


def deep_png(values: Any) -> bytes:
    """A PNG of colours of 16 bits, with alpha or without."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(20, 20, 16, {3: 2, 4: 6}[values.shape[2]], rows)


def tiff(strip: bytes, order: str, bits: int, channels: int) -> bytes:
    """A TIFF of one strip."""
    tags = {256: 20, 257: 20, 258: bits, 259: 1, 262: 2 if channels == 3 else 1, 273: 512, 277: channels, 278: 20}
    tags[279] = len(strip)
    # A value of two bytes stands at the left of its four; three of them stand elsewhere.
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    if channels == 3:
        single, three = ((258, 3, 1, bits, 0), f"{order}HHIHH"), ((258, 3, 3, 400), f"{order}HHII")
        entries = entries.replace(struct.pack(single[1], *single[0]), struct.pack(three[1], *three[0]))
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)
    return (head.ljust(400, b"\0") + struct.pack(f"{order}3H", bits, bits, bits)).ljust(512, b"\0") + strip


def assert_shows(data: bytes, shown: Pixels, *flaws: Flaw, tolerance: int = 1) -> None:
    pixels, told = decoded(data)
    assert np.abs(pixels.astype(int) - (shown if shown.ndim > 2 else shown[..., None])).max() <= tolerance
    assert told == flaws


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_grey_of_a_sensor_has_its_white_at_the_sensors_most(form: str, bits: int) -> None:
    assert_shows(encode(Image.fromarray(narrow(GREY, bits)), form), GREY, Flaw.LOW_VALUES)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_a_sensor_have_their_white_at_the_sensors_most(bits: int, channels: int) -> None:
    values = np.concatenate([narrow(SHOWN, bits), np.full((20, 20, 1), 65535, np.uint16)], axis=2)
    assert_shows(deep_png(values[..., :channels]), SHOWN, Flaw.LOW_VALUES)


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_a_tiff_likewise(order: str) -> None:
    strip = narrow(SHOWN, 12).astype(f"{order}u2").tobytes()
    assert_shows(tiff(strip, order, 16, 3), SHOWN, Flaw.LOW_VALUES)


def test_values_of_16_bits_keep_their_white() -> None:
    values = SHOWN.astype(np.uint16) * 257
    assert_shows(encode(Image.fromarray(values[..., 0]), "PNG"), GREY, tolerance=0)
    assert_shows(deep_png(values), SHOWN, tolerance=0)


def test_a_photo_without_any_light_stays_black() -> None:
    for data in (encode(Image.fromarray(np.full((20, 20), 3, np.uint16)), "PNG"), deep_png(np.zeros((20, 20, 3)))):
        assert decoded(data)[0].max() <= 3


@pytest.mark.parametrize("white", [1023, 4095])
def test_a_dark_photo_is_as_dark_as_it_is_where_the_file_says_where_white_is(white: int) -> None:
    assert_shows(f"P5 20 20 {white}\n".encode() + np.rint(DARK / 255 * white).astype(">u2").tobytes(), DARK)


@pytest.mark.parametrize("shift", [0, 4], ids=["lower, as the values say", "upper, as the standard says"])
def test_significant_bits_of_a_png_are_the_lower_or_the_upper_ones(shift: int) -> None:
    data = encode(Image.fromarray(narrow(DARK, 12) << shift), "PNG")
    assert_shows(data[:33] + chunk(b"sBIT", b"\x0c") + data[33:], DARK)


def test_a_tiff_that_packs_12_bits_is_shown_by_its_header() -> None:
    dark = narrow(DARK, 12).reshape(-1, 2).astype(np.uint32)
    packed = dark[:, 0] << 12 | dark[:, 1]
    strip = np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8).tobytes()
    assert_shows(tiff(strip, "<", 12, 1), DARK)


@pytest.mark.parametrize(
    ("highest", "white"),
    [(0, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4096, 16383), (16383, 16383), (16384, FULL)],
)
def test_white_is_the_most_of_the_next_sensor(highest: int, white: int) -> None:
    assert find_white(np.array([0, highest], np.uint16), Depth()) == white
