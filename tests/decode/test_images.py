"""One photo to one picture: formats, orientation, crop, size, and what is rejected."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.rejections import Reason, Rejected
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tests.decode.corpus import upright
from tests.decode.drawing import Pixels, encode, noise, png, smooth
from tests.decode.valid import EXACT


def pixels_of(data: bytes, settings: DecodeSettings = EXACT) -> Pixels:
    return read_pixels(decode_photo(data, settings).image)


def rejection_of(data: bytes) -> Reason:
    with pytest.raises(Rejected) as caught:
        decode_photo(data, EXACT)
    return caught.value.rejection.reason


LOSSLESS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("PPM", {}),
    ("JPEG2000", {}),
    ("JPEG2000", {"no_jp2": True}),
]


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60), (41, 33)])
def test_a_stretched_photo_is_squeezed_into_the_square_with_all_that_it_shows(width: int, height: int) -> None:
    photo = smooth(width, height)
    stretched = pixels_of(encode(photo, "PNG"), DecodeSettings(20, 20, "bilinear", "png", "stretch"))
    assert np.array_equal(stretched, np.asarray(photo.resize((20, 20), Image.Resampling.BILINEAR)))
    centred = pixels_of(encode(photo, "PNG"), DecodeSettings(20, 20, "bilinear", "png"))
    assert not np.array_equal(stretched, centred)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_orientation_is_applied_to_the_pixel(form: str, options: dict[str, Any], orientation: int) -> None:
    stored = noise(30, 20)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode_photo(encode(Image.fromarray(stored), form, exif=exif, **options), EXACT)
    turned = upright(stored, orientation)
    top, left = ((length - 20) // 2 for length in turned.shape[:2])
    assert np.array_equal(read_pixels(picture.image), turned[top : top + 20, left : left + 20])
    assert (picture.height, picture.width) == turned.shape[:2]


def test_orientation_of_a_reduced_jpeg_is_applied() -> None:
    photo = Image.new("RGB", (800, 400), "white")
    photo.paste("black", (0, 0, 400, 400))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = pixels_of(encode(photo, "JPEG", exif=exif))
    assert pixels[:8].max() < 8, "the left of the stored pixels is the top"
    assert pixels[12:].min() > 247


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_is_passed_over(exif: bytes) -> None:
    photo = smooth(20, 20)
    assert np.array_equal(pixels_of(encode(photo, "JPEG", exif=exif)), pixels_of(encode(photo, "JPEG")))


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


@pytest.mark.parametrize("size", [(20000, 1), (1, 20000), (3, 15000)])
def test_an_extremely_long_photo_gives_its_middle(size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, "white")
    middle = tuple(length // 2 for length in size)
    photo.paste("black", (max(middle[0] - 8, 0), max(middle[1] - 8, 0), middle[0] + 8, middle[1] + 8))
    assert pixels_of(encode(photo, "PNG")).max() == 0


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


def test_a_photo_that_pillow_warns_of_is_decoded_in_silence() -> None:
    rows = (b"\0" + bytes(1188)) * 9500
    assert pixels_of(png(9500, 9500, 1, 0, rows)).max() == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_the_cap_is_to_the_pixel_in_every_format_whatever_pillow_itself_would_take(form: str) -> None:
    data = encode(smooth(41, 31), form)
    assert decode_photo(data, EXACT, max_pixels=41 * 31).width == 41
    with pytest.raises(Rejected, match=r"delete it, or give a higher --max-megapixels\.$") as caught:
        decode_photo(data, EXACT, max_pixels=41 * 31 - 1)
    assert caught.value.rejection.reason == Reason.TOO_LARGE


def test_a_cap_above_that_of_pillow_lets_a_photo_in_and_leaves_pillow_as_it_was() -> None:
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
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"8BPS", "Photoshop"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_a_format_that_is_not_read_is_named(start: bytes, name: str) -> None:
    with pytest.raises(Rejected, match=f"{name} .*Convert it"):
        decode_photo(start + bytes(100), EXACT)


@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("GIF", {}), *LOSSLESS]
)
def test_a_photo_cut_short_anywhere_is_rejected(form: str, options: dict[str, Any]) -> None:
    data = encode(Image.fromarray(noise(60, 40)), form, **options)
    reasons = [rejection_of(data[:length]) for length in range(1, len(data) * 9 // 10, 97)]
    assert set(reasons) <= {Reason.TRUNCATED, Reason.DAMAGED, Reason.UNKNOWN_FORMAT}
    if form not in ("TIFF", "JPEG2000"):  # libtiff and OpenJPEG tell of nothing but an error
        assert reasons[-1] == Reason.TRUNCATED


def test_a_truncated_photo_says_what_to_do() -> None:
    with pytest.raises(Rejected, match=r"ends early .* Copy it again or delete it\.$"):
        decode_photo(encode(smooth(40, 40), "JPEG")[:-200], EXACT)


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
