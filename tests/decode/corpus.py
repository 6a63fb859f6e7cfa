"""More than a thousand bad and odd files, made anew each time, with the expected outcome of each.

The expected pixels of a valid file are those that it was drawn with; they never come from decoding it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tasks.decode.rejections import Reason
from tests.decode.drawing import GAMMA, P3_TO_XYZ, SIDE, SRGB_TO_XYZ, Pixels, encode, noise, p3_profile, png, smooth
from tests.decode.valid import Valid, valid_photos

#: The cap that the corpus is made for: with a hundred times as many pixels it would only take longer.
MAX_PIXELS = 1_000_000

_OFFSETS, _FLIPS = 30, 36
_SHORT = frozenset({Reason.EMPTY, Reason.UNKNOWN_FORMAT, Reason.TRUNCATED, Reason.DAMAGED})
_SUFFIX = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
_SUFFIX |= {"PPM": "ppm", "JPEG2000": "jp2"}
#: Files that begin like a photo and are none.
_STARTS = {
    "jpg": b"\xff\xd8\xff\xe0" + bytes(100),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "gif": b"GIF89a",
    "bmp": b"BM" + bytes(50),
    "tif": b"II*\0" + bytes(100),
    "webp": b"RIFF\x0c\0\0\0WEBPVP8 " + bytes(4),
    "ppm": b"P6\nroses 12",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "j2k": b"\xff\x4f\xff\x51" + bytes(100),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A file, and its expected outcome."""

    kind: str  #: Kind of damage or oddity.
    name: str  #: Name of the file; each has its own.
    data: bytes  #: Its bytes.
    pixels: Pixels | None = None  #: Expected pixels, uint8 [20, 20, 3]; None if it is no photo, or nobody knows.
    tolerance: int = 0  #: By how much a value may differ.
    reasons: frozenset[Reason] = frozenset()  #: Reasons that it may be rejected for; empty if it must not be.
    says: str = ""  #: A word of the message.


def corpus() -> list[Case]:
    """All cases, in the order of their kinds."""
    kinds: tuple[Callable[[], Iterator[Case]], ...] = (
        _valid, _truncated, _flipped, _bombs, _strangers, _long, _animated, _exif, _profiles,
    )  # fmt: skip
    # The same bytes are the same photo, such as the first few of a JPEG of any coding.
    return list({case.data: case for kind in kinds for case in kind()}.values())


def _named(valid: Valid, what: str) -> str:
    return f"{valid.form.lower()}-{valid.name}-{what}.{_SUFFIX[valid.form]}"


def _valid() -> Iterator[Case]:
    for valid in valid_photos():
        yield Case("valid", _named(valid, "as-it-is"), valid.data, valid.pixels, valid.tolerance)


def _codings() -> Iterator[Valid]:
    """Photos that damage is done to: one of each way to store pixels."""
    wanted = {"baseline", "progressive", "restarts", "lossy", "lossless", "rgb", "raw", "tiff_lzw", "palette"}
    wanted |= {"text-3", "boxes", "bare", "tiles"}
    return (valid for valid in valid_photos() if valid.name in wanted or valid.name == "tiff_adobe_deflate")


def _truncated() -> Iterator[Case]:
    """Cut off within the first nine tenths, so that pixels are surely missing (a TIFF has its directory at the end)."""
    for valid in _codings():
        lengths = np.unique(np.linspace(1, len(valid.data) * 9 // 10, _OFFSETS).astype(int))
        # libtiff and OpenJPEG tell of nothing but an error.
        late = _SHORT if valid.form in ("TIFF", "JPEG2000") else frozenset({Reason.TRUNCATED})
        for length in lengths.tolist():
            reasons = late if length == lengths[-1] else _SHORT
            yield Case("truncated", _named(valid, f"to-{length}"), valid.data[:length], reasons=reasons)


def _flipped() -> Iterator[Case]:
    """With bits flipped, half of the time near the start, where they do most harm."""
    everything = frozenset(Reason) - {Reason.CRASHED, Reason.TIMED_OUT, Reason.KILLED}
    for valid in _codings():
        random = np.random.default_rng(zlib.crc32(valid.data))
        for number in range(_FLIPS):
            damaged = bytearray(valid.data)
            reach = min(len(damaged), 100) if number % 2 else len(damaged)
            for place in random.integers(0, reach, 1 + number % 6).tolist():
                damaged[place] ^= 1 << int(random.integers(8))
            yield Case("bits flipped", _named(valid, f"flipped-{number}"), bytes(damaged), reasons=everything)


def _bombs() -> Iterator[Case]:
    """Few bytes that say they are many pixels, in every place where a format says so."""
    large = struct.pack
    jpeg = encode(smooth(SIDE, SIDE), "JPEG")
    frame = jpeg.index(b"\xff\xc0") + 5
    tiff = encode(smooth(SIDE, SIDE), "TIFF")
    sizes = (struct.pack("<HHII", 256, 4, 1, SIDE), struct.pack("<HHII", 257, 4, 1, SIDE))
    canvas = b"VP8X" + large("<IB3x", 10, 0) + large("<I", 16_000)[:3] + large("<I", 16_000)[:3]
    webp = canvas + encode(smooth(SIDE, SIDE), "WEBP")[12:]
    lossless = b"VP8L" + large("<IB", 5, 0x2F) + large("<I", 16_383 | 16_383 << 14) + b"\0"
    screen = encode(smooth(SIDE, SIDE).quantize(4), "GIF")
    local = screen.index(b",") + 1
    boxes, bare = (encode(smooth(SIDE, SIDE), "JPEG2000", no_jp2=no_boxes) for no_boxes in (False, True))
    header = boxes.index(b"ihdr") + 4
    bombs = {
        "jp2": boxes[:header] + large(">II", 60_000, 60_000) + boxes[header + 8 :],
        "j2k": bare[:8] + large(">II", 60_000, 60_000) + bare[16:],
        "ppm": b"P6 60000 60000 255\n",
        "text.ppm": b"P1 60000 60000\n0 1",
        "png": png(60_000, 60_000, 8, 2, b""),
        "png-just-above": png(1000, 1001, 1, 0, b""),
        "png-one-bit": png(2**31 - 1, 1, 1, 0, b""),
        "jpg": jpeg[:frame] + large(">HH", 65_500, 65_500) + jpeg[frame + 4 :],
        "tif": tiff.replace(sizes[0], sizes[0][:8] + large("<I", 2**20)).replace(
            sizes[1], sizes[1][:8] + large("<I", 2**20)
        ),
        "webp": b"RIFF" + large("<I", len(webp) + 4) + b"WEBP" + webp,
        "lossless.webp": b"RIFF" + large("<I", len(lossless) + 4) + b"WEBP" + lossless,
        "gif": screen[:6] + large("<HH", 65_535, 65_535) + screen[10:],
        "frame.gif": screen[:local] + large("<HHHH", 0, 0, 65_535, 65_535) + screen[local + 8 :],
        "bmp": b"BM" + bytes(8) + large("<IIiiHH", 54, 40, 2**16, 2**16, 1, 24) + bytes(24),
        "bottom-up.bmp": b"BM" + bytes(8) + large("<IIiiHH", 54, 40, 2**16, -(2**16), 1, 24) + bytes(24),
    }
    for name, data in bombs.items():
        yield Case("bomb", f"bomb-{name}", data, reasons=frozenset({Reason.TOO_LARGE}))


def _strangers() -> Iterator[Case]:
    """Files that are no photos, or none that are read here, under the names of photos."""
    yield Case("empty", "empty.jpg", b"", reasons=frozenset({Reason.EMPTY}))
    no_photos = {
        "text.jpg": "Where are the photos? ü\n".encode(),
        "page.jpg": b"<!DOCTYPE html><html><title>404</title></html>",
        "page-with-mark.jpg": b"\xef\xbb\xbf<html></html>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "zeros.png": bytes(5000),
        "ones.gif": b"\xff" * 5000,
        "noise.tif": noise(40, 40).tobytes(),
        "archive.jpg": b"PK\3\4" + bytes(60),
        "program.jpg": b"\x7fELF" + bytes(60),
        "about.jpg": b"Python is not a portable pixmap",
        "sound.webp": b"RIFF\x24\0\0\0WAVEfmt " + bytes(24),
    }
    others = {
        "paper.jpg": (b"%PDF-1.7\n", "PDF"),
        "heic.jpg": (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        "avif.jpg": (b"\0\0\0\x18ftypavif" + bytes(100), "AVIF"),
        "video.jpg": (b"\0\0\0\x18ftypisom" + bytes(100), "video"),
        "jxl.jpg": (b"\xff\x0a" + bytes(100), "JPEG XL"),
        "boxes.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100), "JPEG XL"),
        "layers.jpg": (b"8BPS" + bytes(100), "Photoshop"),
    }
    for name, data in no_photos.items():
        yield Case("no photo", name, data, reasons=frozenset({Reason.UNKNOWN_FORMAT}))
    for name, (data, says) in others.items():
        yield Case("no photo", name, data, reasons=frozenset({Reason.UNSUPPORTED_FORMAT}), says=f"It is a {says}")
    for name, data in _STARTS.items():
        yield Case("no photo", f"only-a-start.{name}", data, reasons=frozenset({Reason.DAMAGED}))


def _long() -> Iterator[Case]:
    """Of one pixel, and extremely long: the middle is to be seen."""
    pixels = np.full((SIDE, SIDE, 3), (8, 16, 255), np.uint8)
    for form in ("PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM", "JPEG2000"):
        options = {"lossless": True} if form == "WEBP" else {}
        for width, height in ((1, 1), (1, 16_000), (16_000, 1), (3, 15_000), (1, 20_000), (20_000, 1)):
            if form == "WEBP" and max(width, height) > 16_383:  # its largest side
                continue
            photo = Image.new("RGB", (width, height), "white")
            photo.paste((8, 16, 255), (width // 2 - 8, height // 2 - 8, width // 2 + 8, height // 2 + 8))
            yield Case("extreme shape", f"{width}x{height}.{_SUFFIX[form]}", encode(photo, form, **options), pixels)


def _animated() -> Iterator[Case]:
    """The first of several frames."""
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("blue", "red", "lime")]
    pixels = np.full((SIDE, SIDE, 3), (0, 0, 255), np.uint8)
    for form, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
        yield Case("animated", f"animated.{_SUFFIX[form]}", data, pixels)


def _exif() -> Iterator[Case]:
    """Exif that is broken, and orientations that there are not: the photo is as without it."""
    tag = b"MM\0*\0\0\0\x08\0\1\x01\x12\0"
    broken = (
        *(b"garbage", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"\xff" * 5000),
        tag + b"\3\0\0\0\1\0\x09\0\0\0\0\0\0",
        tag + b"\2\0\0\0\4six\0\0\0\0\0",
        tag + b"\5\0\0\0\1\xff\xff\xff\xff\0\0\0\0",
    )
    stored = noise(SIDE, SIDE)
    lossy = np.asarray(smooth(SIDE, SIDE))
    for form, shown, options in (("PNG", stored, {}), ("WEBP", stored, {"lossless": True}), ("JPEG", lossy, {})):
        for number, exif in enumerate(broken):
            data = encode(Image.fromarray(shown), form, exif=b"Exif\0\0" + exif, quality=95, **options)
            yield Case("broken Exif", f"exif-{number}.{_SUFFIX[form]}", data, shown, 40 if form == "JPEG" else 0)


def _profiles() -> Iterator[Case]:
    """Colour profiles: one that changes colours, and those that are damaged, which are passed over."""
    stored = noise(SIDE, SIDE)
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encode(Image.fromarray(stored), form, icc_profile=p3_profile(), **options)
        yield Case("colour profile", f"p3.{_SUFFIX[form]}", data, p3_to_srgb(stored), 2)
        for number, profile in enumerate((b"garbage", p3_profile()[:200], bytes(500), b"\xff" * 500)):
            data = encode(Image.fromarray(stored), form, icc_profile=profile, **options)
            yield Case("broken profile", f"profile-{number}.{_SUFFIX[form]}", data, stored)


def p3_to_srgb(stored: Pixels) -> Pixels:
    """Convert colours from Display P3 to sRGB, IEC 61966-2-1."""
    linear = (stored / 255) ** GAMMA @ (np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ).T
    linear = linear.clip(0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    shown: Pixels = np.rint(255 * coded).astype(np.uint8)
    return shown
