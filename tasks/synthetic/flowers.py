"""Heads of the five drawn flowers; a head has a radius of about 1 unit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tasks.synthetic.brush import Brush, Colour, Floats, petal, ring, vary

Head = Callable[[Brush, np.random.Generator], None]

_WHITE, _CREAM = (244, 243, 238), (244, 232, 196)
_YELLOW, _GOLD, _ORANGE = (248, 212, 46), (240, 178, 28), (240, 124, 44)
_PINK, _RED, _DARK_RED, _PURPLE = (232, 128, 158), (206, 32, 42), (136, 16, 34), (128, 52, 120)
_ROSES = (_RED, _DARK_RED, _PINK, _WHITE, _CREAM, _YELLOW, _ORANGE)
_TULIPS = (_RED, _DARK_RED, _PINK, _WHITE, _YELLOW, _YELLOW, _ORANGE, _PURPLE)


@dataclass(frozen=True)
class _Layer:
    """A ring of petals."""

    outline: Floats  #: Outline of one petal, shape (N, 2), in units.
    angles: Floats  #: Directions of the petals, shape (K,), in radians.
    colour: Colour  #: Mean colour of the petals.
    size: float = 1.0  #: Factor of the outline.
    rim: float = 0.82  #: Brightness of their edges, as a share of their colour.


def draw_daisy(brush: Brush, rng: np.random.Generator) -> None:
    """Draw narrow white petals in one or two rings around a yellow disc."""
    count = int(rng.integers(11, 26))
    tint = _WHITE if rng.random() < 0.8 else (236, 196, 214)
    outline = petal(1.0, rng.uniform(1.6, 3.2) / count + 0.12, 0.68, 0.6)
    for layer in range(int(rng.integers(1, 3))):
        _petals(brush, _Layer(outline, _around(count, rng, layer), tint), rng)
    _disc(brush, rng.uniform(0.24, 0.4), (236, 182, 30), rng)


def draw_dandelion(brush: Brush, rng: np.random.Generator) -> None:
    """Draw a dense yellow tuft, or the ball of its seeds."""
    if rng.random() < 0.3:
        _clock(brush, rng)
        return
    outline = petal(1.0, rng.uniform(0.12, 0.2), 0.8, 0.45)
    colour = _YELLOW if rng.random() < 0.7 else _GOLD
    for layer, size in enumerate(np.linspace(1.0, 0.25, int(rng.integers(4, 6)))):
        count = int(18 + 22 * size)
        shade = np.asarray(colour) - (0, 9 * layer, 4 * layer)
        _petals(brush, _Layer(outline, _around(count, rng, layer), shade, size), rng)


def draw_rose(brush: Brush, rng: np.random.Generator) -> None:
    """Draw broad petals in rings that close towards the heart."""
    colour = np.asarray(_ROSES[rng.integers(len(_ROSES))])
    width = rng.uniform(0.95, 1.3)
    for layer, size in enumerate(np.linspace(1.0, 0.16, int(rng.integers(5, 8)))):
        outline = petal(1.0, width, 0.66, 0.45)
        shade = colour * (1.0 - 0.05 * layer) - (0, 3 * layer, 2 * layer)
        _petals(brush, _Layer(outline, _around(5 if size > 0.4 else 3, rng, layer), shade, size, 0.72), rng)
    turns = np.linspace(0, rng.uniform(8, 12), 40)
    spiral = np.stack([np.cos(turns), np.sin(turns)], axis=1) * (turns / turns[-1] * 0.26)[:, None]
    brush.line(spiral, 0.035, colour * 0.55)


def draw_sunflower(brush: Brush, rng: np.random.Generator) -> None:
    """Draw pointed golden petals around a broad dark disc of seeds."""
    count = int(rng.integers(17, 32))
    outline = petal(1.0, rng.uniform(3.4, 5.0) / count + 0.08, 0.55, 0.9)
    colour = _GOLD if rng.random() < 0.6 else _YELLOW
    for layer in range(2):
        shade = np.asarray(colour) + 6 * layer
        _petals(brush, _Layer(outline, _around(count, rng, layer), shade, 1.0 - 0.1 * layer), rng)
    disc = (92, 56, 24) if rng.random() < 0.75 else (134, 108, 40)
    _disc(brush, rng.uniform(0.36, 0.6), disc, rng)


def draw_tulip(brush: Brush, rng: np.random.Generator) -> None:
    """Draw a cup of broad petals seen from aside, or six petals seen from above."""
    colour = np.asarray(_TULIPS[rng.integers(len(_TULIPS))])
    if rng.random() < 0.2:
        _petals(brush, _Layer(petal(1.0, rng.uniform(0.75, 1.0), 0.6, 0.6), _around(6, rng, 0), colour), rng)
        _disc(brush, rng.uniform(0.1, 0.2), (60, 50, 30) if rng.random() < 0.5 else _YELLOW, rng)
        return
    spread = rng.uniform(0.12, 0.5)
    outline = petal(1.8, rng.uniform(0.85, 1.05), 0.5, 0.7)
    base = np.array([0.0, 0.9])
    for angles, shade in (((-0.45, 0.45), 0.78), ((-1.0, 1.0), 0.92), ((0.0,), 1.04)):
        turned = ring(outline, np.asarray(angles) * spread, np.ones(len(angles))) + base
        tone = vary(colour * shade, len(angles), 6, rng)
        brush.shapes(turned, tone * 0.78)
        brush.shapes(turned * (0.93, 0.96), tone)


#: Functions that draw a head, in the order of the labels.
HEADS: Mapping[str, Head] = {
    "daisy": draw_daisy,
    "dandelion": draw_dandelion,
    "roses": draw_rose,
    "sunflowers": draw_sunflower,
    "tulips": draw_tulip,
}


def _around(count: int, rng: np.random.Generator, layer: int) -> Floats:
    """Return the angles of a ring's petals, roughly even; odd layers fill the gaps of the even ones."""
    return (np.arange(count) + 0.5 * layer + rng.normal(0, 0.13, count)) * 2 * np.pi / count


def _petals(brush: Brush, layer: _Layer, rng: np.random.Generator) -> None:
    """Draw a ring of petals, each with a dark rim and a lighter middle."""
    count = len(layer.angles)
    sizes = layer.size * rng.normal(1.0, 0.06, count)
    tones = vary(layer.colour, count, 8, rng)
    parts = [ring(layer.outline * part, layer.angles, sizes) for part in ((1.0, 1.0), (0.86, 0.97), (0.34, 0.8))]
    order = rng.permutation(count)
    shapes = np.stack(parts, axis=1)[order].reshape(-1, *layer.outline.shape)
    colours = np.stack([tones * layer.rim, tones, tones + 7], axis=1)[order].reshape(-1, 3)
    brush.shapes(shapes, colours)


def _disc(brush: Brush, radius: float, colour: Colour, rng: np.random.Generator) -> None:
    """Draw a disc of florets at the golden angle (Vogel's model)."""
    count = 70
    part = np.sqrt((np.arange(count) + 0.5) / count)
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1) * (part * radius)[:, None]
    rim = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    brush.shapes(np.stack([np.cos(rim), np.sin(rim)], axis=1)[None] * radius * 1.08, np.asarray([colour]) * 0.7)
    brush.discs(centres, np.full(count, radius * 0.12), vary(colour, count, 16, rng) * (1.1 - 0.3 * part[:, None]))


def _clock(brush: Brush, rng: np.random.Generator) -> None:
    """Draw the ball of seeds of a dandelion."""
    count = int(rng.integers(60, 110))
    angles, part = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0.05, 1.0, count))
    tips = np.stack([np.cos(angles), np.sin(angles)], axis=1) * part[:, None]
    brush.discs(np.zeros((1, 2)), np.ones(1), np.array([[225, 228, 225, 70]]))
    for tip in tips:
        brush.line(np.stack([tip * 0.15, tip]), 0.012, np.array([232, 232, 226, 190]))
    spokes = ring(petal(0.17, 0.03, 0.5), _around(7, rng, 0), np.ones(7))
    stars = (tips[:, None, None] + spokes[None]).reshape(-1, *spokes.shape[1:])
    brush.shapes(stars, np.tile([[246, 246, 242, 200]], (len(stars), 1)))
    brush.discs(np.zeros((1, 2)), np.full(1, 0.13), np.array([[120, 104, 74]]))
