"""Valid photos of every format, mode and coding, and what they show: the pixels that they were drawn with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tasks.decode.settings import DecodeSettings
from tests.decode.drawing import Pixels, encode, noise, png, smooth

SIDE = 20
#: With these settings a photo of this side keeps its pixels.
EXACT = DecodeSettings(size=SIDE, resize=SIDE, encoding="png")


@dataclass(frozen=True, eq=False)
class Valid:
    """A valid photo of 20 x 20 pixels.

    Args:
        name: What it is.
        form: Pillow's name of its format.
        data: Its bytes.
        pixels: What it shows, uint8 [20, 20, 3].
        tolerance: By how much a value may differ.
    """

    name: str
    form: str
    data: bytes
    pixels: Pixels
    tolerance: int = 0


def valid_photos() -> list[Valid]:
    """One photo of each format in each mode and coding that differs."""
    photo, plain = Image.fromarray(noise(SIDE, SIDE)), noise(SIDE, SIDE)
    soft = smooth(SIDE, SIDE)

    def lossless(name: str, form: str, **options: Any) -> Valid:
        return Valid(name, form, encode(photo, form, **options), plain)

    def lossy(name: str, form: str, **options: Any) -> Valid:
        return Valid(name, form, encode(soft, form, quality=95, **options), np.asarray(soft), 40)

    return [
        lossy("baseline", "JPEG", subsampling=0),
        lossy("progressive", "JPEG", progressive=True, subsampling=0),
        lossy("restarts", "JPEG", restart_marker_blocks=2, subsampling=0),
        lossy("subsampled", "JPEG"),
        lossy("second-picture", "MPO", save_all=True, append_images=[Image.new("RGB", (SIDE, SIDE))], subsampling=0),
        lossy("lossy", "WEBP"),
        lossless("lossless", "WEBP", lossless=True),
        lossless("rgb", "PNG"),
        lossless("rgb", "BMP"),
        lossless("raw", "TIFF"),
        *(lossless(coding, "TIFF", compression=coding) for coding in ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
        *_modes(),
        *_portable(),
        *_jpeg_2000(),
    ]


def _portable() -> Iterator[Valid]:
    """Portable pixmaps, binary and as text, of bits, greys and colours."""
    pixels = noise(SIDE, SIDE)
    grey = pixels[..., 0]
    three = np.repeat(grey[..., None], 3, axis=2)
    yield Valid("rgb", "PPM", encode(Image.fromarray(pixels), "PPM"), pixels)
    yield Valid("grey", "PPM", encode(Image.fromarray(grey), "PPM"), three)
    yield Valid(
        "one-bit", "PPM", encode(Image.fromarray(grey > 127), "PPM"), np.where(three > 127, 255, 0).astype("u1")
    )
    for number, values in ((2, grey), (3, pixels)):
        text = f"P{number}\n# drawn\n{SIDE} {SIDE}\n255\n{' '.join(map(str, values.ravel()))}\n"
        yield Valid(
            f"text-{number}", "PPM", text.encode(), np.broadcast_to(values.reshape(SIDE, SIDE, -1), three.shape)
        )
    deep = pixels.astype(np.uint16) * 257
    for number, shown, sent in ((5, three, deep[..., 0]), (6, pixels, deep)):
        for most, stored in ((65535, sent), (4095, np.rint(sent / 65535 * 4095))):
            data = f"P{number} {SIDE} {SIDE} {most}\n".encode() + stored.astype(">u2").tobytes()
            yield Valid(f"16-bit-{number}-{most}", "PPM", data, shown, 1)


def _jpeg_2000() -> Iterator[Valid]:
    """JPEG 2000 in boxes and bare, with and without loss, in one tile and in several."""
    pixels, soft = noise(SIDE, SIDE), smooth(SIDE, SIDE)
    photo, grey, alpha = Image.fromarray(pixels), pixels[..., 0], noise(SIDE, SIDE, seed=1)[..., :1]
    three = np.repeat(grey[..., None], 3, axis=2)
    yield Valid("boxes", "JPEG2000", encode(photo, "JPEG2000"), pixels)
    yield Valid("bare", "JPEG2000", encode(photo, "JPEG2000", no_jp2=True), pixels)
    yield Valid("tiles", "JPEG2000", encode(photo, "JPEG2000", tile_size=(8, 8)), pixels)
    data = encode(soft, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[30, 50])
    yield Valid("layers", "JPEG2000", data, np.asarray(soft), 40)
    yield Valid("grey", "JPEG2000", encode(Image.fromarray(grey), "JPEG2000"), three)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    yield Valid("16-bit", "JPEG2000", encode(deep, "JPEG2000"), three)
    laid = np.rint(pixels * (alpha / 255) + (255 - alpha)).astype(np.uint8)
    rgba = Image.fromarray(np.concatenate([pixels, alpha], axis=2))
    yield Valid("alpha", "JPEG2000", encode(rgba, "JPEG2000"), laid, 1)


def _modes() -> Iterator[Valid]:
    """Every mode but plain RGB."""
    pixels = noise(SIDE, SIDE)
    grey, alpha = pixels[..., 0], noise(SIDE, SIDE, seed=1)[..., :1]
    three = np.repeat(grey[..., None], 3, axis=2)
    for form in ("PNG", "BMP", "TIFF"):
        yield Valid("grey", form, encode(Image.fromarray(grey), form), three)
        bits = encode(Image.fromarray(grey > 127), form)
        yield Valid("one-bit", form, bits, np.where(three > 127, 255, 0).astype(np.uint8))
    laid = np.rint(pixels * (alpha / 255) + (255 - alpha)).astype(np.uint8)
    for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        rgba = Image.fromarray(np.concatenate([pixels, alpha], axis=2))
        yield Valid("alpha", form, encode(rgba, form, **options), laid, 1)
    cmyk = noise(SIDE, SIDE, seed=2), noise(SIDE, SIDE, seed=3)[..., :1]
    ink = np.rint((255.0 - cmyk[0]) * (255.0 - cmyk[1]) / 255).astype(np.uint8)
    yield Valid("cmyk", "TIFF", encode(Image.fromarray(np.concatenate(cmyk, axis=2), "CMYK"), "TIFF"), ink, 1)
    red = encode(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "JPEG")
    yield Valid("cmyk", "JPEG", red, np.full((SIDE, SIDE, 3), (255, 0, 0), np.uint8), 4)
    yield Valid("grey", "JPEG", encode(Image.new("L", (SIDE, SIDE), 77), "JPEG"), np.full_like(pixels, 77), 1)
    deep = np.random.default_rng(4).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    scaled = np.repeat(np.rint(deep / 257).astype(np.uint8)[..., None], 3, axis=2)
    for form in ("PNG", "TIFF"):
        yield Valid("16-bit", form, encode(Image.fromarray(deep), form), scaled)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(">u2") * 257)
    yield Valid("16-bit-rgb", "PNG", png(SIDE, SIDE, 16, 2, rows), pixels, 1)
    yield Valid("floats", "TIFF", encode(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"), three)
    yield from _palettes()


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
