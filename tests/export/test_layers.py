"""An export decodes photos' files like the decode stage."""

import io
import struct
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.bottleneck.views import Pixels
from tasks.decode.images import decode_photo, read_pixels
from tasks.decode.settings import DecodeSettings
from tasks.export.layers import BestLabel, PhotoDecoder, orientation
from tasks.runtime.tensorflow_import import tf
from tasks.synthetic.composition import draw_photo

PLAIN = DecodeSettings(48, 48, "bicubic", "png")


@cache
def decoder(settings: DecodeSettings) -> Any:
    layer = PhotoDecoder(**vars(settings))
    return tf.function(layer.call, autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)])


def decoded(settings: DecodeSettings, *photos: bytes) -> Pixels:
    """Decode photos as an export does: uint8 [N, S, S, 3]."""
    made = decoder(settings)(tf.constant(list(photos), tf.string)).numpy()
    assert made.dtype == np.float32
    return np.asarray(made, np.uint8)


def differences(settings: DecodeSettings, photo: bytes) -> Any:
    """Return the absolute differences of the export's pixels and the decode stage's: int [S, S, 3]."""
    expected = read_pixels(decode_photo(photo, settings).image)
    return np.abs(decoded(settings, photo)[0].astype(int) - expected)


def drawn(number: int = 3, size: tuple[int, int] | None = None) -> Image.Image:
    photo = Image.open(io.BytesIO(draw_photo(number)))
    return photo if size is None else photo.resize(size)


def encoded(photo: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif(photo: Image.Image, turned: int, order: str) -> bytes:
    """A JPEG with an Exif of three entries, behind another segment, in either order of bytes."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entries = [(0x0100, 4, 1, 7), (0x0112, 3, 1, turned), (0x0128, 3, 1, 2)]
    packed = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count) + struct.pack(f"{order}{'I' if kind == 4 else 'H2x'}", value)
        for tag, kind, count, value in entries
    )
    tiff = mark + struct.pack(f"{order}I", 10) + b"\0\0" + struct.pack(f"{order}H", 3) + packed + bytes(4)
    return encoded(photo, exif=b"Exif\0\0" + tiff)


BEHIND = encoded(drawn(size=(9, 6))) + with_exif(drawn(size=(9, 6)), 6, "<")[2:]


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        DecodeSettings(40, 56, "bilinear", "png"),
        DecodeSettings(64, 64, "lanczos", "png"),
        DecodeSettings(75, 75, "bilinear", "png", "stretch"),
        DecodeSettings(400, 400, "bicubic", "png"),
    ],
    ids=lambda settings: f"{settings.resampling}-{settings.crop}-{settings.size}",
)
def test_pixels_are_those_of_the_decode_stage(settings: DecodeSettings) -> None:
    apart = differences(settings, draw_photo(3))
    assert apart.max() <= 2
    assert (apart == 0).mean() > 0.97


def test_pixels_are_compressed_as_those_were_that_the_network_was_shown() -> None:
    settings = DecodeSettings(64, 64, "bicubic", "jpeg")
    assert (differences(settings, draw_photo(3)) == 0).mean() > 0.8
    uncompressed = decoded(replace(settings, encoding="png"), draw_photo(3))
    assert (decoded(settings, draw_photo(3)) == uncompressed).mean() < 0.5


@pytest.mark.parametrize(
    ("size", "equal"),
    # Pillow resizes tall photos down their columns first, and rounds in between.
    [((200, 150), 0.99), ((433, 391), 0.99), ((777, 803), 0.99), ((201, 443), 0)],
)
def test_large_jpeg_is_decoded_at_the_same_fraction_of_its_size(size: tuple[int, int], equal: float) -> None:
    apart = differences(PLAIN, encoded(drawn(size=size), quality=90))
    assert apart.max() <= 1
    assert (apart == 0).mean() > equal


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_jpeg_is_turned_upright_by_its_exif(turned: int, order: str) -> None:
    photo = with_exif(drawn(size=(90, 60)), turned, order)
    assert int(orientation(tf.constant(photo))) == turned
    assert (differences(PLAIN, photo) == 0).mean() > 0.99


@pytest.mark.parametrize("photo", [*(with_exif(drawn(size=(9, 6)), turned, "<") for turned in (0, 9, 65535)), BEHIND])
def test_impossible_orientation_or_exif_behind_the_first_scan_is_ignored(photo: bytes) -> None:
    assert int(orientation(tf.constant(photo))) == 1


def test_exif_that_is_damaged_or_cut_off_anywhere_is_no_error() -> None:
    read = tf.function(orientation, autograph=False, input_signature=[tf.TensorSpec((), tf.string)])
    photo = with_exif(drawn(size=(9, 6)), 6, "<")
    begin = photo.index(b"Exif")
    for end in range(2, begin + 60):
        assert int(read(photo[:end])) in {1, 6}
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(photo)
        for place in random.integers(2, begin + 60, 3):
            damaged[place] = random.integers(256)
        assert 1 <= int(read(bytes(damaged))) <= 8


KINDS = {
    "grey JPEG": encoded(drawn().convert("L")),
    "progressive JPEG": encoded(drawn(), progressive=True),
    # Without a colour profile, each converts it to RGB in its own way.
    "CMYK": encoded(drawn().convert("CMYK")),
    "PNG": encoded(drawn(), "PNG"),
    "grey PNG": encoded(drawn().convert("L"), "PNG"),
    "palette": encoded(drawn().convert("P"), "PNG"),
    "bits": encoded(drawn().convert("1"), "PNG"),
    "small palette": encoded(drawn().quantize(4), "PNG", bits=2),
    "alpha": encoded(drawn().convert("LA"), "PNG"),
    "transparent grey": encoded(drawn().convert("L"), "PNG", transparency=255),
    "16 bits": encoded(drawn().convert("I;16").point(lambda value: value * 257), "PNG"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_jpeg_and_png_is_read(kind: str) -> None:
    assert differences(PLAIN, KINDS[kind]).max() <= (3 if kind == "CMYK" else 1)


def test_transparency_is_laid_on_white() -> None:
    photo = drawn().convert("RGBA")
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    apart = differences(PLAIN, encoded(photo, "PNG"))
    assert apart.max() <= 2
    assert apart.mean() < 0.5


def test_photos_of_all_sizes_go_into_one_batch() -> None:
    photos = [encoded(drawn(number, size)) for number, size in enumerate([(90, 60), (61, 200), (50, 50)])]
    together = decoded(PLAIN, *photos)
    for pixels, photo in zip(together, photos, strict=True):
        np.testing.assert_array_equal(pixels, decoded(PLAIN, photo)[0])
    assert decoded(PLAIN).shape == (0, 48, 48, 3)


def test_other_formats_are_an_error() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoded(PLAIN, encoded(drawn(), "WEBP"))


def test_label_is_the_one_with_the_largest_probability() -> None:
    probabilities = tf.constant([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    named = BestLabel(["a", "ü, |\n", "c"])(probabilities).numpy().tolist()
    assert [label.decode() for label in named] == ["ü, |\n", "a"]
