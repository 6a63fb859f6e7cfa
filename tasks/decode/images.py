"""Decodes a photo to an upright square RGB picture of a fixed size, and a stored picture to its pixels."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError, features

from tasks.decode.colour import Range, is_16_bits, resamplable, to_srgb, value_range
from tasks.decode.depth import FULL, Depth, brightened, lower_bytes, read_depth
from tasks.decode.jpeg2000 import read_codestream
from tasks.decode.rejections import Reason, Rejected, is_short_webp, unidentified
from tasks.decode.repair import Flaw, find_flaws, repairs
from tasks.decode.settings import DecodeSettings
from tasks.errors import StoreError
from tasks.file_types import PILLOW_FORMATS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Default cap on the pixels of a photo, by its header.
MAX_PIXELS = 100_000_000
# Messages of Pillow for truncated files.
_ENDS_EARLY = re.compile("truncated|not enough image data|EOF", re.IGNORECASE)
#: First bytes of a JPEG.
_JPEG = b"\xff\xd8"
#: Largest size in bytes of an unpacked colour profile or text of a PNG.
_MAX_CHUNK = 2**24

# Exif 2.3, tag 0x0112: orientations that swap width and height.
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Picture:
    """A decoded photo."""

    image: bytes  #: Encoded square.
    width: int  #: Width of the upright original in pixels.
    height: int  #: Height of the upright original in pixels.
    format: str  #: Pillow's name of the original's format (`JPEG`, `MPO` for a JPEG with further pictures, `PNG`, ...).
    mode: str  #: Pillow's name of the original's mode (`RGB`, `CMYK`, `I;16`, ...).
    flaws: tuple[Flaw, ...] = ()  #: Damage of the original.


def decode_photo(data: bytes, settings: DecodeSettings, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a photo, turn it upright, convert it to sRGB, and crop or squeeze it to the square.

    The same bytes and settings always give the same picture. An animation gives its first frame. A file with all of its
    pixels is decoded even if other parts are damaged. Photos of more pixels than the cap are rejected by their header,
    before they are decoded.

    Raises:
        Rejected: The photo cannot be decoded.
    """
    if not data:
        raise Rejected(Reason.EMPTY, "The file is empty. Copy it again or delete it.")
    try:
        with _capped(max_pixels):
            picture = _decode_or_repair(data, settings, max_pixels)
    except MemoryError as exc:
        raise _too_large("It needs more memory than a photo may") from exc
    return replace(picture, flaws=(*picture.flaws, *find_flaws(data)))


def _decode_or_repair(data: bytes, settings: DecodeSettings, max_pixels: int) -> Picture:
    try:
        return _decode(data, settings, max_pixels)
    except Rejected as rejected:
        if rejected.rejection.reason not in (Reason.DAMAGED, Reason.TRUNCATED):
            raise
        for repaired, flaws in repairs(data):
            with suppress(Rejected):
                picture = _decode(repaired, settings, max_pixels)
                return replace(picture, flaws=(*picture.flaws, *flaws))
        raise


def _decode(data: bytes, settings: DecodeSettings, max_pixels: int) -> Picture:
    with _rejecting(data):
        photo = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    (width, height), mode = photo.size, photo.mode
    if width * height > max_pixels:
        raise _too_large(f"It has {width} x {height} pixels")
    if photo.format == "JPEG2000":
        _check_jpeg_2000(data)
    with _rejecting(data):
        ready, extent, black_white, flaws = _ready(photo, data, settings)
    square = to_srgb(_square(ready, extent, settings), black_white, photo.info.get("icc_profile"))
    square.info.clear()  # else Pillow would store comments and profiles of the original
    # The square is turned, not the photo: it is smaller, and both give the same pixels.
    square.getexif()[ExifTags.Base.Orientation] = orientation = read_orientation(photo)
    ImageOps.exif_transpose(square, in_place=True)
    if orientation in _SIDEWAYS:
        width, height = height, width
    return Picture(_encode(square, settings), width, height, photo.format or "", mode, flaws)


def _ready(
    photo: ImageFile.ImageFile, data: bytes, settings: DecodeSettings
) -> tuple[Image.Image, tuple[float, float], Range, tuple[Flaw, ...]]:
    """Decode the pixels to a mode that can be averaged, and find their extent and their black and white."""
    depth, lower = read_depth(photo, data), lower_bytes(photo)
    extent = _load(photo, settings)
    plain = resamplable(photo)
    ready = brightened(plain, data, lower, depth) if lower else plain
    black_white = value_range(ready, depth)
    is_low = ready is not plain or (is_16_bits(ready) and black_white[1] < FULL)
    return ready, extent, black_white, (Flaw.LOW_VALUES,) if is_low and depth == Depth() else ()


def read_pixels(image: bytes) -> "npt.NDArray[np.uint8]":
    """Decode a stored picture, the JPEG or PNG of a row's `image`, to uint8 [H, W, 3], RGB, range 0-255, read-only.

    Raises:
        StoreError: The picture is damaged.
    """
    import numpy as np
    import simplejpeg

    try:
        if image.startswith(_JPEG):
            # This gives the same pixels as Pillow in two thirds of the time.
            return np.asarray(simplejpeg.decode_jpeg(image))
        return np.asarray(Image.open(io.BytesIO(image), formats=("PNG",)))
    except (OSError, SyntaxError, ValueError) as exc:
        raise StoreError(f"A picture of the decoded store is damaged ({exc}). Delete the store and run again.") from exc


def _load(photo: Image.Image, settings: DecodeSettings) -> tuple[float, float]:
    """Decode the pixels, and return the photo's exact width and height in units of decoded pixels.

    A JPEG is decoded at 1/8, 1/4 or 1/2 of its size if at least twice the needed pixels remain. This is twice as fast
    for 12 megapixels, and changes the pictures less (PSNR 49 to 55 dB) than quality 95 does (38 to 46 dB).
    """
    enough = 2 * settings.resize
    reduced = photo.draft(None, (enough, enough))
    photo.load()
    return photo.size if reduced is None else reduced[1][2:]


def _check_jpeg_2000(data: bytes) -> None:
    if not features.check_codec("jpg_2000"):
        raise Rejected(
            Reason.UNSUPPORTED_FORMAT,
            "It is a JPEG 2000 file, and this Pillow was built without OpenJPEG. Convert it to JPEG or PNG.",
        )
    if not read_codestream(data).complete:
        raise Rejected(Reason.TRUNCATED, "The file ends early (tiles are missing). Copy it again or delete it.")


def _square(photo: Image.Image, extent: tuple[float, float], settings: DecodeSettings) -> Image.Image:
    """Resize and crop in one step, which resamples only the pixels that are kept."""
    box = (0.0, 0.0, *extent)
    if settings.crop == "centre":
        short = min(extent)
        side = min(short * settings.size / settings.resize, short)
        left, top = ((length - side) / 2 for length in extent)
        box = (left, top, min(left + side, extent[0]), min(top + side, extent[1]))
    return photo.resize((settings.size, settings.size), Image.Resampling[settings.resampling.upper()], box)


def read_orientation(photo: Image.Image) -> int:
    """Read the orientation of a photo, 1 to 8; 1 is upright. Pillow has turned a TIFF, and its size, already."""
    try:
        return int(photo.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - damaged metadata raises almost anything, and the pixels do not need it
        return 1


def _encode(picture: Image.Image, settings: DecodeSettings) -> bytes:
    buffer = io.BytesIO()
    if settings.encoding == "png":
        picture.save(buffer, "PNG", compress_level=2)  # level 6 takes five times as long for 11 % less
    else:
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _too_large(what: str) -> Rejected:
    return Rejected(Reason.TOO_LARGE, f"{what}. Store it smaller, delete it, or give a higher --max-megapixels.")


@contextmanager
def _capped(max_pixels: int) -> Iterator[None]:
    """Let Pillow refuse photos of more pixels, whichever part of a file states the size."""
    usual = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    # Pillow warns above this number and refuses above twice this number.
    Image.MAX_IMAGE_PIXELS = -(-max_pixels // 2)
    PngImagePlugin.MAX_TEXT_CHUNK = _MAX_CHUNK
    try:
        # Pillow's warnings are about odd metadata and the like; it raises errors for damaged pixels.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = usual


@contextmanager
def _rejecting(data: bytes) -> Iterator[None]:
    """Turn the many exceptions that Pillow raises for bad bytes into `Rejected`."""
    try:
        yield
    except MemoryError:
        raise
    except UnidentifiedImageError as exc:
        raise unidentified(data) from exc
    except Image.DecompressionBombError as exc:
        raise _too_large("By its header it has more pixels than a photo may") from exc
    except Exception as exc:
        cause = (str(exc) or type(exc).__name__)[:200].encode("utf-8", "replace").decode()
        if isinstance(exc, EOFError) or _ENDS_EARLY.search(cause) or is_short_webp(data):
            raise Rejected(Reason.TRUNCATED, f"The file ends early ({cause}). Copy it again or delete it.") from exc
        raise Rejected(Reason.DAMAGED, f"The file is damaged ({cause}). Copy it again or delete it.") from exc
