"""One photo to one picture: formats, orientation, crop, size, and what is rejected."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.rejections import Reason, Rejected
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tests.decode.drawing import EXACT, Pixels, encode, noise, oriented, pixels_of, png, rejection_of, smooth


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60), (41, 33)])
def test_a_stretched_photo_is_squeezed_into_the_square_with_all_that_it_shows(width: int, height: int) -> None:
    photo = smooth(width, height)
    stretched = pixels_of(encode(photo, "PNG"), DecodeSettings(20, 20, "bilinear", "png", "stretch"))
    assert np.array_equal(stretched, np.asarray(photo.resize((20, 20), Image.Resampling.BILINEAR)))
    centred = pixels_of(encode(photo, "PNG"), DecodeSettings(20, 20, "bilinear", "png"))
    assert not np.array_equal(stretched, centred)


#: Exif 2.3, tag 0x0112: where row 0 and column 0 of the stored pixels are to be seen.
UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_orientation_is_applied_to_the_pixel(form: str, options: dict[str, Any], orientation: int) -> None:
    stored = noise(30, 20)
    picture = decode_photo(encode(Image.fromarray(stored), form, exif=oriented(orientation), **options), EXACT)
    turned = UPRIGHT[orientation](stored)
    top, left = ((length - 20) // 2 for length in turned.shape[:2])
    assert np.array_equal(read_pixels(picture.image), turned[top : top + 20, left : left + 20])
    assert (picture.height, picture.width) == turned.shape[:2]


def test_orientation_of_a_reduced_jpeg_is_applied() -> None:
    photo = Image.new("RGB", (800, 400), "white")
    photo.paste("black", (0, 0, 400, 400))
    pixels = pixels_of(encode(photo, "JPEG", exif=oriented(6)))
    assert pixels[:8].max() < 8, "the left of the stored pixels is the top"
    assert pixels[12:].min() > 247


def test_the_centre_is_cropped_after_resizing() -> None:
    photo = Image.fromarray(noise(96, 60))
    expected = np.asarray(photo.resize((48, 30), Image.Resampling.BICUBIC))[3:27, 12:36]
    assert np.array_equal(pixels_of(encode(photo, "PNG"), DecodeSettings(24, 30, encoding="png")), expected)


@pytest.mark.parametrize("resampling", ["bicubic", "bilinear", "lanczos"])
def test_resizing_is_antialiased(resampling: Any) -> None:
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = pixels_of(encode(Image.fromarray(stripes), "PNG"), DecodeSettings(20, 20, resampling, "png"))
    assert np.abs(pixels[:, 2:-2].astype(int) - 128).max() <= 2


def test_a_large_jpeg_decoded_at_reduced_size_looks_as_at_its_own() -> None:
    photo = Image.fromarray(noise(24, 16)).resize((1200, 801), Image.Resampling.BICUBIC)
    data = encode(photo, "JPEG", quality=95, subsampling=0)
    settings = DecodeSettings(64, 72, encoding="png")
    whole = encode(Image.open(io.BytesIO(data)), "BMP")
    difference = pixels_of(data, settings).astype(float) - pixels_of(whole, settings)
    assert 10 * np.log10(255**2 / np.square(difference).mean()) > 45


def test_jpeg_is_stored_without_chroma_subsampling_near_the_lossless_picture() -> None:
    photo = encode(smooth(90, 60), "PNG")
    picture = decode_photo(photo, DecodeSettings(32, 32))
    stored = Image.open(io.BytesIO(picture.image))
    assert stored.format == "JPEG"
    assert {layer[1:3] for layer in stored.layer} == {(1, 1)}  # type: ignore[attr-defined] # Pillow types no plugin's
    lossless = pixels_of(photo, DecodeSettings(32, 32, encoding="png"))
    assert np.abs(read_pixels(picture.image).astype(int) - lossless).max() < 10


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_what_is_stored_depends_on_nothing_but_the_pixels(encoding: Any) -> None:
    settings = DecodeSettings(20, 20, encoding=encoding)
    photo = smooth(40, 30)
    plain = decode_photo(encode(photo, "JPEG"), settings)
    profile = io.BytesIO(encode(photo, "JPEG", comment="private", dpi=(300, 300)))
    assert decode_photo(profile.getvalue(), settings).image == plain.image
    assert decode_photo(encode(photo, "JPEG"), settings) == plain


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_the_cap_is_to_the_pixel_in_every_format_whatever_pillow_itself_would_take(form: str) -> None:
    data = encode(smooth(41, 31), form)
    assert decode_photo(data, EXACT, max_pixels=41 * 31).width == 41
    assert rejection_of(data, 41 * 31 - 1) == Reason.TOO_LARGE


def test_a_cap_above_that_of_pillow_lets_a_photo_in_without_a_warning_and_leaves_pillow_as_it_was() -> None:
    usual = Image.MAX_IMAGE_PIXELS
    rows = (b"\0" + bytes(2500)) * 10_000
    data = png(20_000, 10_000, 1, 0, rows)
    assert decode_photo(data, EXACT, max_pixels=200_000_000).width == 20_000
    assert usual == Image.MAX_IMAGE_PIXELS


def test_memory_that_is_not_there_is_the_fault_of_a_photo_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    data = encode(smooth(40, 30), "PNG")
    monkeypatch.setattr(Image.Image, "resize", refuse)
    assert rejection_of(data) == Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("missing", "most", "message"),
    [
        (200, 10**8, r"ends early .* Copy it again or delete it\.$"),
        (0, 1599, r"delete it, or give a higher --max-megapixels\.$"),
    ],
)
def test_a_rejection_says_what_to_do(missing: int, most: int, message: str) -> None:
    data = encode(smooth(40, 40), "JPEG")
    with pytest.raises(Rejected, match=message):
        decode_photo(data[: len(data) - missing], EXACT, most)


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_a_damaged_stored_picture_is_an_error_of_the_store(encoding: Any) -> None:
    stored = decode_photo(encode(smooth(70, 50), "JPEG"), DecodeSettings(48, 48, encoding=encoding)).image
    for damaged in (stored[: len(stored) // 2], stored[:50], b"", b"no picture"):
        with pytest.raises(StoreError, match="picture of the decoded store is damaged"):
            read_pixels(damaged)


def test_a_real_photo_looks_as_pillow_shows_it(flower_photos: Any) -> None:
    path = min(flower_photos.rglob("*.jpg"))
    with Image.open(path) as photo:
        short = min(photo.size)
        left, top = ((length - short) // 2 for length in photo.size)
        expected = photo.crop((left, top, left + short, top + short)).resize((64, 64), Image.Resampling.BICUBIC)
    difference = pixels_of(path.read_bytes(), DecodeSettings(64, 64)).astype(int) - np.asarray(expected)
    assert np.abs(difference).mean() < 4


def test_pixels_of_a_stored_jpeg_are_those_that_pillow_reads() -> None:
    stored = decode_photo(encode(smooth(70, 50), "JPEG"), DecodeSettings(48, 48)).image
    assert np.array_equal(read_pixels(stored), np.asarray(Image.open(io.BytesIO(stored))))
