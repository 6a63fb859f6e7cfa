"""Backgrounds of the drawn flowers."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tasks.synthetic.brush import Colour, Floats, Pose, fills, vary
from tasks.synthetic.foliage import HABITS, draw_blades, draw_leaf

Size = tuple[int, int]
_GREENS = ((70, 112, 42), (94, 136, 58), (48, 86, 40), (118, 140, 66))


def draw_background(size: Size, rng: np.random.Generator) -> Image.Image:
    """Draw an RGB picture of a random kind; `size` is its width and height in pixels."""
    kinds = (_meadow, _sky, _soil, _bokeh, _indoors, _hedge)
    return kinds[rng.choice(len(kinds), p=(0.26, 0.16, 0.12, 0.2, 0.12, 0.14))](size, rng)


def clouds(size: Size, cells: int, rng: np.random.Generator) -> Floats:
    """Draw smooth noise, shape (height, width), of mean 0 and a deviation of about 1.

    Args:
        size: Width and height in pixels.
        cells: Number of hills and valleys side by side.
        rng: Source of the noise.
    """
    width, height = size
    rows = max(2, round(cells * height / width))
    small = Image.fromarray(rng.standard_normal((rows, cells), dtype=np.float32))
    return np.asarray(small.resize(size, Image.Resampling.BICUBIC), np.float64)


def _picture(values: Floats) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _mottled(size: Size, colour: Colour, cells: int, spread: float, rng: np.random.Generator) -> Floats:
    """Vary one colour in patches and in grains: shape (height, width, 3)."""
    light = clouds(size, cells, rng) * spread + clouds(size, cells * 8, rng) * spread * 0.6
    return np.asarray(colour) + light[..., None]


def _gradient(size: Size, top: Colour, bottom: Colour) -> Floats:
    """Blend two colours from top to bottom: shape (height, width, 3)."""
    part = np.linspace(0, 1, size[1])[:, None, None]
    return np.broadcast_to(np.asarray(top) * (1 - part) + np.asarray(bottom) * part, (size[1], size[0], 3))


def _meadow(size: Size, rng: np.random.Generator) -> Image.Image:
    green = _GREENS[rng.integers(len(_GREENS))]
    picture = _picture(_mottled(size, green, 5, 16, rng))
    count = int(rng.integers(60, 220))
    roots = rng.uniform(0, 1, (count, 2)) * (size[0], size[1] * 1.2)
    draw_blades(ImageDraw.Draw(picture), roots[np.argsort(roots[:, 1])], size[1] * rng.uniform(0.1, 0.3), green, rng)
    return picture.filter(ImageFilter.BoxBlur(float(rng.choice([0, 0.5, 2, 4]))))


def _sky(size: Size, rng: np.random.Generator) -> Image.Image:
    blue = vary((112, 160, 214), 1, 18, rng)[0]
    white = np.clip(clouds(size, 4, rng) + 0.5 * clouds(size, 12, rng) - rng.uniform(-0.6, 1.2), 0, 1)[..., None]
    values = _gradient(size, blue * 0.86, blue * 1.1) * (1 - 0.8 * white) + 238 * 0.8 * white
    horizon = int(size[1] * rng.uniform(0.6, 1.3))
    if horizon < size[1]:
        land = _mottled(size, _GREENS[rng.integers(len(_GREENS))], 6, 14, rng)
        values = np.concatenate([values[:horizon], land[horizon:]])
    return _picture(values).filter(ImageFilter.BoxBlur(1.5))


def _soil(size: Size, rng: np.random.Generator) -> Image.Image:
    brown = ((104, 78, 56), (136, 110, 84), (76, 60, 50), (150, 146, 138))[rng.integers(4)]
    picture = _picture(_mottled(size, brown, 9, 18, rng))
    draw = ImageDraw.Draw(picture)
    for x, y, radius in rng.uniform(0, 1, (int(rng.integers(10, 60)), 3)) * (*size, 7):
        draw.ellipse((x, y, x + 2 + radius, y + 1 + radius * 0.7), fill=fills(vary(brown, 1, 26, rng))[0])
    return picture.filter(ImageFilter.BoxBlur(float(rng.choice([0, 0.5, 1.5]))))


def _bokeh(size: Size, rng: np.random.Generator) -> Image.Image:
    base = (*_GREENS, (40, 44, 40), (88, 72, 96), (150, 140, 110))[rng.integers(7)]
    picture = _picture(_mottled(size, base, 3, 22, rng))
    draw = ImageDraw.Draw(picture, "RGBA")
    hues = np.array([(250, 230, 170), (200, 230, 160), (240, 190, 200), (250, 220, 60), (255, 255, 255)])
    for x, y, part in rng.uniform(0, 1, (int(rng.integers(8, 40)), 3)) * (*size, 1):
        radius, hue = 4 + 20 * part, fills(vary(hues[rng.integers(len(hues))], 1, 14, rng))[0]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*hue, int(rng.integers(25, 110))))
    return picture.filter(ImageFilter.BoxBlur(float(rng.uniform(1.5, 4.5))))


def _indoors(size: Size, rng: np.random.Generator) -> Image.Image:
    wall = ((214, 204, 188), (176, 186, 192), (120, 96, 84), (60, 62, 70), (224, 220, 216))[rng.integers(5)]
    picture = _picture(
        _gradient(size, np.asarray(wall) * rng.uniform(0.8, 1.1), np.asarray(wall) * rng.uniform(0.7, 1.0))
    )
    draw = ImageDraw.Draw(picture)
    edge = size[1] * rng.uniform(0.62, 0.95)
    draw.rectangle((0, edge, *size), fill=fills(vary((134, 96, 62), 1, 26, rng))[0])
    if rng.random() < 0.5:
        left, top = rng.uniform(0, 0.6, 2) * size
        pane = fills(vary((206, 220, 228), 1, 14, rng))[0]
        draw.rectangle((left, top * 0.4, left + size[0] * 0.35, top * 0.4 + size[1] * 0.45), fill=pane)
    return picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0, 3))))


def _hedge(size: Size, rng: np.random.Generator) -> Image.Image:
    picture = _picture(_mottled(size, (30, 52, 28), 6, 10, rng))
    draw = ImageDraw.Draw(picture)
    habit = tuple(HABITS.values())[rng.integers(len(HABITS))]
    for x, y, angle in rng.uniform(0, 1, (int(rng.integers(30, 90)), 3)) * (*size, 2 * np.pi):
        draw_leaf(draw, Pose(x, y, size[1] * rng.uniform(0.05, 0.14), angle), habit, rng)
    return picture.filter(ImageFilter.BoxBlur(float(rng.choice([0, 1, 2.5]))))
