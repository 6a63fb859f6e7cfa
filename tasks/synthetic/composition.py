"""Composition of a drawn photo: background, flowers, foreground, light, and the camera's faults."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tasks.synthetic.backgrounds import Size, clouds, draw_background
from tasks.synthetic.brush import Brush, Floats, Pose
from tasks.synthetic.flowers import HEADS
from tasks.synthetic.foliage import HABITS, draw_blades, draw_leaf, draw_stem

LABELS = tuple(HEADS)

#: Shapes in focus are drawn at twice the size and then reduced, for smooth edges.
_OVERSAMPLING = 2


def draw_photo(index: int) -> bytes:
    """Draw a JPEG of about 320 x 240 pixels, the same for the same index; its label is `LABELS[index % 5]`."""
    # Another first number would draw another dataset.
    rng = np.random.default_rng((0, index))
    label = LABELS[index % len(LABELS)]
    size = _choose_size(rng)
    picture = _add_far(draw_background(size, rng), label, rng)
    picture = picture.resize((size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING), Image.Resampling.NEAREST)
    _add_near(picture, label, rng)
    _add_foreground(picture, rng)
    return _expose(picture.reduce(_OVERSAMPLING), rng)


def _choose_size(rng: np.random.Generator) -> Size:
    long, short = int(rng.integers(300, 341)), int(rng.integers(220, 261))
    return (long, short) if rng.random() < 0.75 else (short, long)


def _add_far(picture: Image.Image, label: str, rng: np.random.Generator) -> Image.Image:
    """Add small flowers out of focus, some of another kind."""
    if rng.random() < 0.45:
        return picture
    kind = label if rng.random() < 0.8 else LABELS[rng.integers(len(LABELS))]
    draw = ImageDraw.Draw(picture, "RGBA")
    for x, y in rng.uniform(0, 1, (int(rng.integers(1, 9)), 2)) * picture.size:
        _draw_plant(draw, kind, Pose(x, y, picture.height * rng.uniform(0.03, 0.08)), rng)
    return picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 2.5))))


def _add_near(picture: Image.Image, label: str, rng: np.random.Generator) -> None:
    """Add the flowers of the photo's label: one large, a few, or many small ones."""
    draw = ImageDraw.Draw(picture, "RGBA")
    count = int(rng.choice([1, 2, 3, 5, 8], p=[0.42, 0.2, 0.16, 0.12, 0.1]))
    short = min(picture.size)
    sizes = np.sort(short * rng.uniform(0.12, 0.4, count) / count**0.4)
    for size in sizes:
        # The largest one, which is drawn last, stands near the middle.
        spread = 0.08 if size == sizes[-1] else 0.08 + 0.05 * count
        x, y = np.clip(rng.normal(0.5, spread, 2), 0.08, 0.92) * picture.size
        _draw_plant(draw, label, Pose(x, y, size), rng)


def _draw_plant(draw: ImageDraw.ImageDraw, label: str, place: Pose, rng: np.random.Generator) -> None:
    cup = label == "tulips"
    draw_stem(draw, HABITS[label], place, rng.uniform(2.5, 7.0), rng)
    turn = rng.normal(0, 0.25) if cup else rng.uniform(0, 2 * np.pi)
    squash = 1.0 if cup else 1.0 - abs(rng.normal(0, 0.3)) % 0.75
    lean = 0.0 if cup else rng.normal(0, 0.6)
    HEADS[label](Brush(draw, Pose(place.x, place.y, place.scale, turn, squash, lean)), rng)


def _add_foreground(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draw blades, leaves or a rail before the flowers."""
    draw = ImageDraw.Draw(picture, "RGBA")
    kind = rng.random()
    if kind < 0.22:
        roots = rng.uniform((0, 0.9), (1, 1.25), (int(rng.integers(5, 40)), 2)) * picture.size
        draw_blades(draw, roots, picture.height * rng.uniform(0.2, 0.6), (74, 120, 46), rng)
    elif kind < 0.36:
        habit = tuple(HABITS.values())[rng.integers(len(HABITS))]
        for x, y, angle in rng.uniform(0, 1, (int(rng.integers(2, 8)), 3)) * (*picture.size, 2 * np.pi):
            draw_leaf(draw, Pose(x, y, picture.height * rng.uniform(0.08, 0.2), angle), habit, rng)
    elif kind < 0.42:
        shade = int(rng.integers(40, 200))
        for x in np.arange(rng.uniform(0, 60), picture.width, rng.uniform(70, 200)):
            draw.line((x, 0, x + rng.normal(0, 30), picture.height), fill=(shade, shade, shade), width=8)


def _expose(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Apply light, shadow, white balance, focus, noise and compression; returns the JPEG."""
    size = picture.size
    blur = float(rng.choice([0.0, 0.5, 1.0, 1.8], p=[0.45, 0.25, 0.2, 0.1]))
    tint = rng.normal(1.0, 0.07, 3) * rng.uniform(0.75, 1.15)
    curve = 255 * np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.5)
    developed = picture.filter(ImageFilter.BoxBlur(blur)).point([int(value) for value in np.outer(tint, curve).ravel()])
    if rng.random() < 0.03:
        developed = developed.convert("L").convert("RGB")
    grain = clouds(size, size[0], rng) * rng.choice([0.8, 3.0, 7.0])
    values = np.asarray(developed) * _light(size, rng)[..., None] + grain[..., None]
    photo = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=int(rng.integers(60, 93)))
    return file.getvalue()


def _light(size: Size, rng: np.random.Generator) -> Floats:
    """Draw uneven light from one side, with dark corners and soft shadows: shape (height, width), about 1."""
    y, x = np.linspace(-1, 1, size[1])[:, None], np.linspace(-1, 1, size[0])
    angle = rng.uniform(0, 2 * np.pi)
    side = rng.uniform(0, 0.25) * (np.cos(angle) * x + np.sin(angle) * y)
    light: Floats = 1 + side - rng.uniform(0, 0.2) * (x**2 + y**2) + rng.uniform(0, 0.15) * clouds(size, 4, rng)
    return np.maximum(light, 0.1)
