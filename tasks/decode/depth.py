"""Finds the white of photos with 16 bits per value that use fewer bits.

A sensor of 12 bits writes 0 to 4,095 into a range of 0 to 65,535, and the photo would look black. If the file states
the number of significant bits, that decides. Otherwise, if no value has more than 14 bits, so that the brightest pixel
would be a quarter of white, the photo is treated as from a sensor of 8, 10, 12 or 14 bits. A dark photo of full 16 bits
becomes brighter by this, but is never clipped, and the order of its values stays.
"""

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageFile

from tasks.decode.jpeg2000 import read_codestream
from tasks.decode.png_chunks import read_chunks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FULL = 65535
_BITS = 16
#: Bits of common sensors. Photos of a sensor of 11 bits become half as bright as they could be.
_SENSORS = (8, 10, 12, 14)
_TIFF_BITS = 258  # TIFF 6.0, BitsPerSample
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_SWAPPED = {";16L": ";16B", ";16B": ";16L"}


@dataclass(frozen=True)
class Depth:
    """The depth of values of 16 bits, by their file."""

    white: int | None = None  #: Value of white; None if the file does not state it.
    #: Number of significant bits, by a PNG's `sBIT`. The standard says that they are the upper bits, but some programs
    #: write the lower ones.
    significant: int = _BITS


def read_depth(photo: ImageFile.ImageFile, data: bytes) -> Depth:
    """Read the depth of the values of a photo, opened but not loaded, whose file has this content."""
    if photo.format == "PNG":
        significant = next((chunk.content(data)[:1] for chunk in read_chunks(data) if chunk.kind == b"sBIT"), b"")
        return Depth(significant=min(significant[0], _BITS) or _BITS) if significant else Depth()
    if photo.format == "TIFF":
        bits = int(photo.tag_v2.get(_TIFF_BITS, (_BITS,))[0])  # type: ignore[attr-defined] # Pillow types no plugin's
        return Depth(2**bits - 1) if bits < _BITS else Depth()
    # Pillow scales values of fewer bits to 16 in both formats; it reads a PPM of 16 bits raw.
    if photo.format == "PPM":
        return Depth(None if photo.tile[0][0] == "raw" else FULL)
    return Depth(FULL) if photo.format == "JPEG2000" and read_codestream(data).bits < _BITS else Depth()


def find_white(values: "npt.NDArray[np.uint16]", depth: Depth) -> int:
    """Find the value of white: 65535, or 2**n - 1 for values of n bits. The values are uint16 of any shape."""
    if depth.white is not None:
        return depth.white
    highest = int(values.max(initial=0))
    if depth.significant < _BITS:
        white = 2**depth.significant - 1
        # If the upper bits are the significant ones, the lower bits are zero.
        is_upper = not (values & (2 ** (_BITS - depth.significant) - 1)).any()
        return FULL if highest > white or is_upper else white
    return next((2**bits - 1 for bits in _SENSORS if highest < 2**bits), FULL)


def lower_bytes(photo: ImageFile.ImageFile) -> str | None:
    """Return the raw mode that makes Pillow decode the lower byte of each value, in place of the upper byte.

    The photo is opened but not loaded. The result is None if it has no colours of 16 bits.
    """
    if photo.mode not in ("RGB", "RGBA") or len(photo.tile) != 1 or "transparency" in photo.info:
        return None
    raw = photo.tile[0].args
    raw = (raw if isinstance(raw, str) else str((raw or ("",))[0])).replace(";16N", _NATIVE)
    mode, order = raw[:-4], raw[-4:]
    return mode + _SWAPPED[order] if mode == photo.mode and order in _SWAPPED else None


def brightened(upper: Image.Image, data: bytes, raw: str, depth: Depth) -> Image.Image:
    """Scale colours of 16 bits that use fewer to 8 bits, and return others unchanged.

    Args:
        upper: The photo as Pillow decodes it, RGB or RGBA: the upper byte of each value.
        data: Content of its file.
        raw: Result of `lower_bytes`.
        depth: Depth of the values, by the file.
    """
    import numpy as np

    # This comes first, since few photos are so dark.
    if int(np.asarray(upper)[..., :3].max()) >= 2 ** (_SENSORS[-1] - 8):
        return upper
    lower = Image.open(io.BytesIO(data), formats=(upper.format or "PNG",))
    tile = lower.tile[0]
    lower.tile = [tile._replace(args=raw if isinstance(tile.args, str) else (raw, *(tile.args or ("",))[1:]))]
    values = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
    white = find_white(values[..., :3], depth)
    if white == FULL:
        return upper
    scaled = np.asarray(upper).copy()
    scaled[..., :3] = np.rint(values[..., :3] * np.float32(255 / white))
    return Image.fromarray(scaled)
