"""Every mode and colour space to RGB in sRGB."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tests.decode.corpus import p3_to_srgb
from tests.decode.drawing import EXACT, encode, noise, p3_profile, pixels_of
from tests.decode.valid import Valid, valid_photos


def assert_all(data: bytes, colour: Any, tolerance: int = 0) -> None:
    """Check that all pixels of a photo have about this colour."""
    assert np.abs(pixels_of(data).astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("valid", valid_photos(), ids=lambda valid: f"{valid.form}-{valid.name}")
def test_a_photo_of_every_format_mode_and_coding_keeps_its_pixels(valid: Valid) -> None:
    picture = decode_photo(valid.data, EXACT)
    assert np.abs(read_pixels(picture.image).astype(int) - valid.pixels).max() <= valid.tolerance
    assert (picture.format, picture.flaws) == (valid.form, ())


def test_a_photo_of_one_bit_is_averaged_when_it_is_resized() -> None:
    bits = np.zeros((200, 200), bool)
    bits[:, ::2] = True
    assert np.abs(pixels_of(encode(Image.fromarray(bits), "PNG"))[:, 2:-2].astype(int) - 128).max() <= 2


@pytest.mark.parametrize(("mode", "colour"), [("L", 0), ("RGB", (0, 0, 0))])
def test_a_transparent_colour_is_white(mode: str, colour: Any) -> None:
    assert_all(encode(Image.new(mode, (20, 20)), "PNG", transparency=colour), 255)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_with_alpha_is_composited_onto_white(form: str) -> None:
    grey, alpha = 100, 51
    photo = encode(Image.new("LA", (20, 20), (grey, alpha)), form)
    assert_all(photo, round(grey * alpha / 255 + 255 - alpha), 1)


def test_a_transparent_colour_does_not_bleed_into_what_is_beside_it() -> None:
    photo = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    photo.paste((0, 0, 255, 255), (0, 0, 95, 200))
    pixels = pixels_of(encode(photo, "PNG")).astype(int)
    assert (pixels[..., 0] - pixels[..., 1]).max() <= 2, (
        "red is nowhere stronger than green: all is blue, white or between"
    )


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (32896, 128), (1000, 4), (65535, 255)])
def test_grey_of_16_bits_is_scaled(value: int, expected: int) -> None:
    grey = np.full((20, 20), value, np.uint16)
    grey[0, 0] = 65535
    photo = Image.fromarray(grey)
    big_endian = encode(Image.frombytes("I;16B", (20, 20), grey.astype(">u2").tobytes()), "TIFF")
    for data in (big_endian, *(encode(photo, form) for form in ("PNG", "TIFF", "PPM", "JPEG2000"))):
        assert (pixels_of(data)[10:, 10:] == expected).all()


def test_grey_of_16_bits_is_resized_before_it_is_rounded() -> None:
    grey = np.linspace(0, 65535, 400 * 400).reshape(400, 400).astype(np.uint16)
    expected = grey.reshape(20, 20, 20, 20).mean(axis=(1, 3)) / 257
    assert np.abs(pixels_of(encode(Image.fromarray(grey), "PNG"))[1:-1, 1:-1, 0] - expected[1:-1, 1:-1]).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.0, 0.2, 0.6], np.float32), [0, 51, 153]),
        (np.array([-3.0, 0.0, 3.0], np.float32), [0, 128, 255]),
        (np.array([np.nan, -3.0, 3.0], np.float32), [0, 0, 255]),
        (np.array([7.0, 7.0, 7.0], np.float32), [0, 0, 0]),
        (np.array([-1000, 1000, 3000], np.int32), [0, 128, 255]),
    ],
    ids=["0 to 1", "beyond", "not a number", "constant", "integer"],
)
def test_values_of_32_bits_are_scaled(values: Any, expected: list[int]) -> None:
    photo = encode(Image.fromarray(np.repeat(values, 20 * 60).reshape(60, 60)), "TIFF")
    pixels = pixels_of(photo, DecodeSettings(size=60, resize=60, encoding="png"))
    assert [int(pixels[row, 30, 0]) for row in (5, 30, 55)] == expected


def test_lab_becomes_rgb() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    assert_all(encode(to_lab.apply(Image.new("RGB", (20, 20), (180, 60, 90))), "TIFF"), (180, 60, 90), 3)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_profile_of_colours_with_alpha_is_converted_to_srgb(form: str) -> None:
    photo = Image.new("RGB", (20, 20), (100, 150, 60))
    expected = p3_to_srgb(np.asarray(photo))
    photo.putalpha(255)
    assert_all(encode(photo, form, icc_profile=p3_profile()), expected, 2)


def test_a_profile_of_srgb_changes_nothing() -> None:
    pixels = noise(20, 20)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_all(encode(Image.fromarray(pixels), "PNG", icc_profile=profile), pixels)


def test_a_profile_for_other_channels_is_passed_over() -> None:
    assert_all(encode(Image.new("L", (20, 20), 90), "PNG", icc_profile=p3_profile()), 90)
