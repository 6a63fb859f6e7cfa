"""Valid photos of every format, mode and coding, with the pixels that they were drawn with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tests.decode.drawing import SIDE, Pixels, encode, noise, png, smooth

PIXELS = noise(SIDE, SIDE)
GREY, SOFT = PIXELS[..., 0], smooth(SIDE, SIDE)
THREE = np.repeat(GREY[..., None], 3, axis=2)
BITS = np.where(THREE > 127, 255, 0).astype(np.uint8)
ALPHA = noise(SIDE, SIDE, seed=1)[..., :1]
RGBA = Image.fromarray(np.concatenate([PIXELS, ALPHA], axis=2))
ON_WHITE = np.rint(PIXELS * (ALPHA / 255) + (255 - ALPHA)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Valid:
    """A valid photo of 20 x 20 pixels."""

    name: str  #: Name of its mode or coding.
    form: str  #: Pillow's name of its format.
    data: bytes  #: Its bytes.
    pixels: Pixels  #: Pixels that it was drawn with, uint8 [20, 20, 3].
    tolerance: int = 0  #: By how much a value may differ.


def _lossless(name: str, form: str, pixels: Pixels = PIXELS, **options: Any) -> Valid:
    shown = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return Valid(name, form, encode(Image.fromarray(pixels), form, **options), shown)


def _lossy(name: str, form: str, **options: Any) -> Valid:
    return Valid(name, form, encode(SOFT, form, **options), np.asarray(SOFT), 40)


def valid_photos() -> list[Valid]:
    """One photo of each format in each mode and coding that differs."""
    second = [Image.new("RGB", (SIDE, SIDE))]
    return [
        _lossy("baseline", "JPEG", quality=95, subsampling=0),
        _lossy("progressive", "JPEG", quality=95, progressive=True, subsampling=0),
        _lossy("restarts", "JPEG", quality=95, restart_marker_blocks=2, subsampling=0),
        _lossy("subsampled", "JPEG", quality=95),
        _lossy("second-picture", "MPO", quality=95, save_all=True, append_images=second, subsampling=0),
        _lossy("lossy", "WEBP", quality=95),
        _lossless("lossless", "WEBP", lossless=True),
        _lossless("rgb", "PNG"),
        _lossless("rgb", "BMP"),
        _lossless("raw", "TIFF"),
        *(_lossless(coding, "TIFF", compression=coding) for coding in ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
        *(_lossless("grey", form, GREY) for form in ("PNG", "BMP", "TIFF", "PPM", "JPEG2000")),
        *_modes(),
        *_palettes(),
        *_portable(),
        _lossless("boxes", "JPEG2000"),
        _lossless("bare", "JPEG2000", no_jp2=True),
        _lossless("tiles", "JPEG2000", tile_size=(8, 8)),
        _lossy("layers", "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[30, 50]),
    ]


def _modes() -> Iterator[Valid]:
    """Every mode but plain RGB and grey."""
    for form in ("PNG", "BMP", "TIFF", "PPM"):
        yield Valid("one-bit", form, encode(Image.fromarray(GREY > 127), form), BITS)
    webp = {"lossless": True, "exact": True}
    for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", webp), ("JPEG2000", {})):
        yield Valid("alpha", form, encode(RGBA, form, **options), ON_WHITE, 1)
    cmyk = noise(SIDE, SIDE, seed=2), noise(SIDE, SIDE, seed=3)[..., :1]
    ink = np.rint((255.0 - cmyk[0]) * (255.0 - cmyk[1]) / 255).astype(np.uint8)
    yield Valid("cmyk", "TIFF", encode(Image.fromarray(np.concatenate(cmyk, axis=2), "CMYK"), "TIFF"), ink, 1)
    red = encode(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "JPEG")
    yield Valid("cmyk", "JPEG", red, np.full_like(PIXELS, (255, 0, 0)), 4)
    yield Valid("grey", "JPEG", encode(Image.new("L", (SIDE, SIDE), 77), "JPEG"), np.full_like(PIXELS, 77), 1)
    deep = np.random.default_rng(4).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    scaled = np.repeat(np.rint(deep / 257).astype(np.uint8)[..., None], 3, axis=2)
    for form in ("PNG", "TIFF"):
        yield Valid("16-bit", form, encode(Image.fromarray(deep), form), scaled)
    yield Valid("16-bit", "JPEG2000", encode(Image.fromarray(GREY.astype(np.uint16) * 257), "JPEG2000"), THREE)
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS.astype(">u2") * 257)
    yield Valid("16-bit-rgb", "PNG", png(SIDE, SIDE, 16, 2, rows), PIXELS, 1)
    yield Valid("floats", "TIFF", encode(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"), THREE)


def _palettes() -> Iterator[Valid]:
    """Palettes without and with an entry that is transparent."""
    colours = noise(4, 1, seed=5)[0]
    indices = noise(SIDE, SIDE, seed=6)[..., 0] % 4
    photo = Image.fromarray(indices, "P")
    photo.putpalette(colours.tobytes())
    shown = colours.copy()
    shown[1] = 255
    for form in ("PNG", "GIF", "BMP", "TIFF"):
        yield Valid("palette", form, encode(photo, form), colours[indices])
        if form in ("PNG", "GIF"):
            yield Valid("transparent-palette", form, encode(photo, form, transparency=1), shown[indices])


def _portable() -> Iterator[Valid]:
    """Portable pixmaps of colours, as text, and of 16 bits."""
    yield _lossless("rgb", "PPM")
    for number, values, shown in ((2, GREY, THREE), (3, PIXELS, PIXELS)):
        text = f"P{number}\n# drawn\n{SIDE} {SIDE}\n255\n{' '.join(map(str, values.ravel()))}\n"
        yield Valid(f"text-{number}", "PPM", text.encode(), shown)
    deep = PIXELS.astype(np.uint16) * 257
    for number, shown, sent in ((5, THREE, deep[..., 0]), (6, PIXELS, deep)):
        for most, stored in ((65535, sent), (4095, np.rint(sent / 65535 * 4095))):
            data = f"P{number} {SIDE} {SIDE} {most}\n".encode() + stored.astype(">u2").tobytes()
            yield Valid(f"16-bit-{number}-{most}", "PPM", data, shown, 1)
