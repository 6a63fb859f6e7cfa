"""Values of 16 bits that use fewer of them: which of them is white.

A sensor of 12 bits writes 0 to 4,095 where a file has room for 65,535, and shown as it is the photo is black. Where the
file says how many bits count, that decides. Else a photo none of whose values has more than 14 bits, whose brightest
spot would be a quarter of white, is taken for that of a sensor of 8, 10, 12 or 14 bits. A photo of full 16 bits that is
as dark is shown brighter than it is, but never clipped, and its order of values stays.
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
#: What sensors have. One of 11 bits is shown half as bright as it could be.
_SENSORS = (8, 10, 12, 14)
_TIFF_BITS = 258  # TIFF 6.0, BitsPerSample
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_SWAPPED = {";16L": ";16B", ";16B": ";16L"}


@dataclass(frozen=True)
class Depth:
    """What a file of 16 bits a value says of them.

    Args:
        white: The value of white; None where the file does not say.
        significant: How many bits count, by a PNG's `sBIT`. They are the upper ones by the standard, and the lower ones
            by some programs.
    """

    white: int | None = None
    significant: int = _BITS

    @property
    def is_unknown(self) -> bool:
        """Whether the file says no more than that there is room for 16 bits."""
        return self.white is None and self.significant == _BITS


def read_depth(photo: ImageFile.ImageFile, data: bytes) -> Depth:
    """Read what a photo says of its values; ask before it is loaded.

    Args:
        photo: The photo, opened.
        data: Its file.
    """
    if photo.format == "PNG":
        significant = next((chunk.content(data)[:1] for chunk in read_chunks(data) if chunk.kind == b"sBIT"), b"")
        return Depth(significant=min(significant[0], _BITS) or _BITS) if significant else Depth()
    if photo.format == "TIFF":
        bits = int(photo.tag_v2.get(_TIFF_BITS, (_BITS,))[0])  # type: ignore[attr-defined] # Pillow types no plugin's
        return Depth(2**bits - 1) if bits < _BITS else Depth()
    # Pillow scales those of fewer bits to 16 itself.
    if photo.format == "PPM":
        return Depth(None if photo.tile[0][0] == "raw" else FULL)
    return Depth(FULL) if photo.format == "JPEG2000" and read_codestream(data).bits < _BITS else Depth()


def find_white(values: "npt.NDArray[np.uint16]", depth: Depth) -> int:
    """Find the value of white.

    Args:
        values: Of all pixels: uint16, any shape.
        depth: What the file says.

    Returns:
        65535, or 2**n - 1 where values have n bits.
    """
    if depth.white is not None:
        return depth.white
    highest = int(values.max(initial=0))
    if depth.significant < _BITS:
        white = 2**depth.significant - 1
        # The upper bits alone count: those below are zero.
        is_upper = not (values & (2 ** (_BITS - depth.significant) - 1)).any()
        return FULL if highest > white or is_upper else white
    return next((2**bits - 1 for bits in _SENSORS if highest < 2**bits), FULL)


def lower_bytes(photo: ImageFile.ImageFile) -> str | None:
    """How to decode the lower byte of each value, of which Pillow takes the upper one; ask before the photo is loaded.

    Returns:
        Pillow's raw mode; None where the photo has no colours of 16 bits.
    """
    if photo.mode not in ("RGB", "RGBA") or len(photo.tile) != 1 or "transparency" in photo.info:
        return None
    raw = photo.tile[0].args
    raw = (raw if isinstance(raw, str) else str((raw or ("",))[0])).replace(";16N", _NATIVE)
    mode, order = raw[:-4], raw[-4:]
    return mode + _SWAPPED[order] if mode == photo.mode and order in _SWAPPED else None


def brightened(upper: Image.Image, data: bytes, raw: str, depth: Depth) -> Image.Image:
    """Scale colours of 16 bits that use fewer to 8 bits.

    Args:
        upper: The photo as Pillow decodes it, RGB or RGBA, the upper byte of each value.
        data: Its file.
        raw: What `lower_bytes` said.
        depth: What the file says of the values.

    Returns:
        The photo; as it is where its values use the whole range.
    """
    import numpy as np  # noqa: PLC0415 (few photos need it)

    # Looked at first: few photos are so dark.
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
