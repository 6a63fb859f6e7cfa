"""Every mode and colour space to RGB in sRGB."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tests.decode.drawing import GAMMA, P3_TO_XYZ, SRGB_TO_XYZ, Pixels, encode, noise, p3_profile, png

EXACT = DecodeSettings(size=20, resize=20, encoding="png")


def pixels_of(data: bytes) -> Pixels:
    return read_pixels(decode_photo(data, EXACT).image)


def colour_of(data: bytes) -> list[int]:
    """The one colour of a photo that has only one."""
    pixels = pixels_of(data).reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return [int(value) for value in pixels[0]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_grey_becomes_rgb(form: str) -> None:
    grey = noise(20, 20)[..., 0]
    assert np.array_equal(pixels_of(encode(Image.fromarray(grey), form)), np.repeat(grey[..., None], 3, axis=2))


def test_one_bit_becomes_black_and_white() -> None:
    bits = noise(20, 20)[..., 0] > 127
    expected = np.where(bits[..., None], 255, 0).repeat(3, axis=2)
    assert np.array_equal(pixels_of(encode(Image.fromarray(bits), "PNG")), expected)


def test_a_photo_of_one_bit_is_averaged_when_it_is_resized() -> None:
    bits = np.zeros((200, 200), bool)
    bits[:, ::2] = True
    assert np.abs(pixels_of(encode(Image.fromarray(bits), "PNG"))[:, 2:-2].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette_colours_are_looked_up(form: str) -> None:
    photo = Image.fromarray(noise(20, 20)).quantize(16)
    assert np.array_equal(pixels_of(encode(photo, form)), np.asarray(photo.convert("RGB")))


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_white(form: str) -> None:
    photo = Image.new("P", (20, 20), 1)
    photo.putpalette([255, 0, 0, 0, 0, 255])
    photo.paste(0, (0, 0, 10, 20))
    pixels = pixels_of(encode(photo, form, transparency=0))
    assert (pixels[:, :10] == 255).all()
    assert (pixels[:, 10:] == (0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_is_white(mode: str) -> None:
    photo = Image.new(mode, (20, 20))
    assert colour_of(encode(photo, "PNG", transparency=0 if mode == "L" else (0, 0, 0))) == [255] * 3


@pytest.mark.parametrize(
    ("mode", "colour", "form"),
    [
        ("RGBA", (200, 0, 100, 51), "PNG"),
        ("RGBA", (200, 0, 100, 51), "TIFF"),
        ("LA", (100, 51), "PNG"),
        ("LA", (100, 51), "TIFF"),
    ],
)
def test_alpha_is_laid_onto_white(mode: str, colour: tuple[int, ...], form: str) -> None:
    *values, alpha = colour
    expected = [round(value * alpha / 255 + 255 - alpha) for value in values] * (3 if mode == "LA" else 1)
    assert np.abs(np.subtract(colour_of(encode(Image.new(mode, (20, 20), colour), form)), expected)).max() <= 1


def test_a_transparent_colour_does_not_bleed_into_what_is_beside_it() -> None:
    photo = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    photo.paste((0, 0, 255, 255), (0, 0, 95, 200))
    pixels = pixels_of(encode(photo, "PNG")).astype(int)
    assert (pixels[..., 0] - pixels[..., 1]).max() <= 2, (
        "red is nowhere stronger than green: all is blue, white or between"
    )


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb_and_not_its_negative(form: str) -> None:
    red = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    assert np.abs(np.subtract(colour_of(encode(red, form)), [255, 0, 0])).max() <= 4


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (32896, 128), (1000, 4), (65535, 255)])
def test_grey_of_16_bits_is_scaled(value: int, expected: int) -> None:
    grey = np.full((20, 20), value, np.uint16)
    grey[0, 0] = 65535
    big_endian = Image.frombytes("I;16B", (20, 20), grey.astype(">u2").tobytes())
    for data in (
        encode(Image.fromarray(grey), "PNG"),
        encode(Image.fromarray(grey), "TIFF"),
        encode(big_endian, "TIFF"),
        encode(Image.fromarray(grey), "PPM"),
        encode(Image.fromarray(grey), "JPEG2000"),
    ):
        assert (pixels_of(data)[10:, 10:] == expected).all()


def test_grey_of_16_bits_is_resized_before_it_is_rounded() -> None:
    grey = np.linspace(0, 65535, 400 * 400).reshape(400, 400).astype(np.uint16)
    expected = grey.reshape(20, 20, 20, 20).mean(axis=(1, 3)) / 257
    assert np.abs(pixels_of(encode(Image.fromarray(grey), "PNG"))[1:-1, 1:-1, 0] - expected[1:-1, 1:-1]).max() <= 1


def test_rgb_of_16_bits_is_scaled() -> None:
    row = b"\0" + np.array([0, 32896, 65535], ">u2").tobytes() * 20
    assert colour_of(png(20, 20, 16, 2, row * 20)) == [0, 128, 255]


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
    tall = DecodeSettings(size=60, resize=60, encoding="png")
    pixels = read_pixels(decode_photo(photo, tall).image)
    assert [int(pixels[row, 30, 0]) for row in (5, 30, 55)] == expected


def test_lab_becomes_rgb() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = to_lab.apply(Image.new("RGB", (20, 20), (180, 60, 90)))
    assert np.abs(np.subtract(colour_of(encode(lab, "TIFF")), [180, 60, 90])).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("alpha", [False, True])
def test_an_embedded_profile_is_converted_to_srgb(form: str, alpha: bool) -> None:
    colour = (100, 150, 60)
    linear = np.linalg.solve(SRGB_TO_XYZ, P3_TO_XYZ @ (np.array(colour) / 255) ** GAMMA)
    # IEC 61966-2-1: the transfer function of sRGB.
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    photo = Image.new("RGB", (20, 20), colour)
    if alpha:
        photo.putalpha(255)
    assert np.abs(colour_of(encode(photo, form, icc_profile=p3_profile())) - expected).max() <= 2


def test_a_profile_of_srgb_changes_nothing() -> None:
    pixels = noise(20, 20)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(pixels_of(encode(Image.fromarray(pixels), "PNG", icc_profile=profile)), pixels)


@pytest.mark.parametrize("profile", [b"garbage", p3_profile()[:200]])
def test_a_damaged_profile_is_passed_over(profile: bytes) -> None:
    pixels = noise(20, 20)
    assert np.array_equal(pixels_of(encode(Image.fromarray(pixels), "PNG", icc_profile=profile)), pixels)


def test_a_profile_for_other_channels_is_passed_over() -> None:
    assert colour_of(encode(Image.new("L", (20, 20), 90), "PNG", icc_profile=p3_profile())) == [90] * 3
