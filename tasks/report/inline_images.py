"""Pictures as a page holds them: JPEG files inside it, and many small ones on a sheet."""

import base64
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

LARGEST_SIDE = 300
"""The longer side of a picture in pixels at most."""
TILE = 64
"""Width and height of a picture on a sheet, in pixels."""
TILES_ACROSS = 16
"""Pictures in a row of a sheet, and rows of a sheet at most."""

_QUALITY = 80
_SHEET_QUALITY = 72
_SMALLEST_SIDE = 128
_PICTURES_AT_FULL_SIZE = 160
_GROUND = (128, 128, 128)


class InlineImage(NamedTuple):
    """A picture inside a page.

    Args:
        uri: A JPEG file as a data URI.
        width: In pixels.
        height: In pixels.
    """

    uri: str
    width: int
    height: int


def side_for(pictures: int) -> int:
    """The side at which so many pictures have no larger area in all than a few, down to a least side."""
    scale = math.sqrt(min(1.0, _PICTURES_AT_FULL_SIZE / max(pictures, 1)))
    return max(_SMALLEST_SIDE, round(LARGEST_SIDE * scale))


def embed_picture(image: bytes, side: int = LARGEST_SIDE) -> InlineImage:
    """Shrink a picture, keeping its proportions, and make it a part of a page; a small one keeps its size.

    Args:
        image: A JPEG or PNG file.
        side: The longer side's length in pixels at most.

    Raises:
        PIL.UnidentifiedImageError: The bytes are not those of a picture.
    """
    with Image.open(io.BytesIO(image)) as picture:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return InlineImage(_jpeg_uri(picture.convert("RGB"), _QUALITY), *picture.size)


def tile_pictures(images: Sequence[bytes]) -> list[str]:
    """Put small pictures on sheets, which are far shorter than all of them with tables of their own each.

    Picture i is on sheet i // TILES_ACROSS**2. There, its place j = i % TILES_ACROSS**2 is row j // TILES_ACROSS and
    column j % TILES_ACROSS.

    Args:
        images: JPEG or PNG files.

    Returns:
        The sheets, each a JPEG file as a data URI.

    Raises:
        PIL.UnidentifiedImageError: The bytes of one are not those of a picture.
    """
    of_sheet = TILES_ACROSS**2
    return [_sheet(images[start : start + of_sheet]) for start in range(0, len(images), of_sheet)]


def _sheet(images: Sequence[bytes]) -> str:
    sheet = Image.new("RGB", (TILE * TILES_ACROSS, TILE * math.ceil(len(images) / TILES_ACROSS)), _GROUND)
    for place, image in enumerate(images):
        row, column = divmod(place, TILES_ACROSS)
        with Image.open(io.BytesIO(image)) as picture:
            picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
            left, top = (TILE - picture.width) // 2, (TILE - picture.height) // 2
            sheet.paste(picture.convert("RGB"), (TILE * column + left, TILE * row + top))
    return _jpeg_uri(sheet, _SHEET_QUALITY)


def _jpeg_uri(picture: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
