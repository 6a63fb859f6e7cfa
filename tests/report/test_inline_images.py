"""Pictures inside a page: small WebP files, and sheets of many."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.report.inline_images import LARGEST_SIDE, TILE, TILES_ACROSS, embed_pictures, side_for, tile_pictures
from tests.decode.drawing import encode


def decode(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as opened:
        assert opened.format == "WEBP"
        opened.load()
        return opened


@pytest.mark.parametrize(
    ("kind", "size", "mode", "expected"),
    [
        ("JPEG", (600, 600), "RGB", (300, 300)),
        ("PNG", (600, 300), "RGB", (300, 150)),
        ("PNG", (400, 400), "L", (300, 300)),
        ("JPEG", (60, 40), "RGB", (60, 40)),
    ],
)
def test_pictures_keep_their_proportions(
    kind: str, size: tuple[int, int], mode: str, expected: tuple[int, int]
) -> None:
    image = encode(Image.radial_gradient("L").resize(size).convert(mode), kind)
    embedded = embed_pictures([image], LARGEST_SIDE)[image]
    assert decode(embedded.uri).size == (embedded.width, embedded.height) == expected
    assert decode(embedded.uri).mode == "RGB"


def test_a_picture_looks_like_its_photo(flower_photos: Path) -> None:
    """Its mean colours in a grid of 8 x 8 are those of the photo, within a few levels of 255."""
    photo = next(path for path in sorted((flower_photos / "roses").iterdir()) if path.suffix == ".jpg")
    with Image.open(photo) as opened:
        own = grid(opened)
    (embedded,) = embed_pictures([photo.read_bytes()], 144).values()
    assert np.abs(own - grid(decode(embedded.uri))).max() < 12


def grid(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture.convert("RGB").resize((8, 8), Image.Resampling.BOX), np.int16)


def test_the_area_of_all_pictures_is_bounded_until_they_would_be_too_small() -> None:
    assert side_for(0) == side_for(1) == side_for(160) == LARGEST_SIDE
    assert side_for(640) == LARGEST_SIDE // 2
    assert side_for(100_000) == 128


def test_every_picture_lies_at_its_place_on_its_sheet() -> None:
    count = TILES_ACROSS**2 + TILES_ACROSS + 3
    colours = np.random.default_rng(3).integers(0, 256, (count, 3))
    sheets = tile_pictures(
        [encode(Image.new("RGB", (TILE, TILE), tuple(map(int, colour))), "PNG") for colour in colours]
    )
    assert tile_pictures([]) == []
    pixels = [np.asarray(decode(sheet), np.int16) for sheet in sheets]
    assert [sheet.shape for sheet in pixels] == [(1024, 1024, 3), (128, 1024, 3)]
    for number, colour in enumerate(colours):
        row, column = divmod(number % TILES_ACROSS**2, TILES_ACROSS)
        middle = pixels[number // TILES_ACROSS**2][TILE * row + TILE // 2, TILE * column + TILE // 2]
        assert np.abs(middle - colour).max() < 8


def test_a_picture_that_is_not_square_lies_in_the_middle_of_its_tile() -> None:
    (sheet,) = tile_pictures([encode(Image.new("RGB", (128, 64), "white"), "PNG")])
    column = np.asarray(decode(sheet).convert("L"), np.int16)[:TILE, TILE // 2]
    assert (column[20:44] > 240).all()
    assert (np.abs(column[[2, 61]] - 128) < 12).all()
