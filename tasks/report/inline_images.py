"""Images inside a page: data URIs of WebP files, and sheets of many small ones."""

import base64
import io
import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from PIL import Image

from tasks.concurrency import map_ordered
from tasks.hardware import available_cores

#: Longer side of an image in pixels at most.
LARGEST_SIDE = 300
#: Width and height of an image on a sheet in pixels.
TILE = 64
#: Images in a row of a sheet, and rows of a sheet at most.
TILES_ACROSS = 16

#: Such WebP files are as near to the pictures as JPEG files of qualities 80 and 76, which are a quarter larger.
_QUALITY, _SHEET_QUALITY = 70, 50
_SMALLEST_SIDE = 128
_IMAGES_AT_FULL_SIZE = 160
_BACKGROUND = (128, 128, 128)


class InlineImage(NamedTuple):
    """An image inside a page: a WebP file as a data URI, width and height in pixels."""

    uri: str
    width: int
    height: int


def side_for(images: int) -> int:
    """Return the side at which so many images have no larger area than a few, down to the smallest side."""
    scale = math.sqrt(min(1.0, _IMAGES_AT_FULL_SIZE / max(images, 1)))
    return max(_SMALLEST_SIDE, round(LARGEST_SIDE * scale))


def embed_pictures(images: Collection[bytes], side: int) -> Mapping[bytes, InlineImage]:
    """Shrink JPEG or PNG files for a page, keeping their proportions, to sides of `side` pixels at most.

    Raises:
        PIL.UnidentifiedImageError: The bytes of one are no image.
    """
    return dict(zip(images, map_ordered(partial(_embed, side=side), images, available_cores()), strict=True))


def _embed(image: bytes, side: int) -> InlineImage:
    with Image.open(io.BytesIO(image)) as picture:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        return InlineImage(_webp(picture.convert("RGB"), _QUALITY), *picture.size)


def tile_pictures(images: Sequence[bytes]) -> list[str]:
    """Shrink images to tiles on sheets, which are much shorter than single files with their own tables.

    Image i is on sheet i // TILES_ACROSS**2. There, j = i % TILES_ACROSS**2 is in row j // TILES_ACROSS and column
    j % TILES_ACROSS.

    Returns:
        The sheets, each a WebP file as a data URI.

    Raises:
        PIL.UnidentifiedImageError: The bytes of one are no image.
    """
    step = TILES_ACROSS**2
    sheets = (images[start : start + step] for start in range(0, len(images), step))
    return list(map_ordered(_sheet, sheets, available_cores()))


def _sheet(images: Sequence[bytes]) -> str:
    sheet = Image.new("RGB", (TILE * TILES_ACROSS, TILE * math.ceil(len(images) / TILES_ACROSS)), _BACKGROUND)
    for number, image in enumerate(images):
        row, column = divmod(number, TILES_ACROSS)
        with Image.open(io.BytesIO(image)) as picture:
            # A JPEG file is decoded at half its size where that is enough.
            picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS, reducing_gap=1.0)
            left, top = (TILE - picture.width) // 2, (TILE - picture.height) // 2
            sheet.paste(picture.convert("RGB"), (TILE * column + left, TILE * row + top))
    return _webp(sheet, _SHEET_QUALITY)


def _webp(picture: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    # Slower methods take up to three times as long for a tenth of the bytes.
    picture.save(buffer, "WEBP", quality=quality, method=0)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
