"""Stems, leaves and blades of grass."""

from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from tasks.synthetic.brush import Brush, Colour, Floats, Pose, petal, ring, vary


@dataclass(frozen=True)
class Habit:
    """Stem and leaves of a plant, in units of the head's radius."""

    stem: float  #: Width of the stem.
    leaf: tuple[float, float]  #: Length and width of a leaf.
    jagged: float  #: Depth of the cuts in a leaf's edge.
    upright: bool  #: Whether leaves grow along the stem rather than aside.
    colour: Colour  #: Colour of the leaves.


HABITS = {
    "daisy": Habit(0.1, (0.9, 0.3), 0.1, upright=False, colour=(70, 120, 52)),
    "dandelion": Habit(0.12, (1.7, 0.5), 0.5, upright=False, colour=(66, 122, 44)),
    "roses": Habit(0.13, (1.2, 0.7), 0.14, upright=False, colour=(38, 84, 44)),
    "sunflowers": Habit(0.15, (1.3, 0.95), 0.08, upright=False, colour=(64, 112, 44)),
    "tulips": Habit(0.2, (2.9, 0.6), 0.0, upright=True, colour=(86, 134, 84)),
}


def draw_stem(draw: ImageDraw.ImageDraw, habit: Habit, head: Pose, length: float, rng: np.random.Generator) -> None:
    """Draw a stem from the head downwards, and its leaves; `length` is that of the stem, in units."""
    brush = Brush(draw, Pose(head.x, head.y, head.scale))
    bend = rng.normal(0, 0.12 * length)
    along = np.linspace(0, 1, 9)
    points = np.stack([bend * along * (2 - along), length * along], axis=1)
    colour = vary(habit.colour, 1, 10, rng)[0]
    brush.line(points, habit.stem, colour * 0.9)
    for _ in range(int(rng.integers(1, 5))):
        place = points[rng.integers(3, 9)]
        side = rng.choice([-1.0, 1.0])
        angle = side * (rng.uniform(0.1, 0.45) if habit.upright else rng.uniform(0.7, 1.9))
        size = rng.uniform(0.7, 1.2)
        leaf = Pose(head.x + place[0] * head.scale, head.y + place[1] * head.scale, head.scale * size, angle)
        draw_leaf(draw, leaf, habit, rng)


def draw_leaf(draw: ImageDraw.ImageDraw, pose: Pose, habit: Habit, rng: np.random.Generator) -> None:
    """Draw a leaf that grows from the pose's centre."""
    length, width = habit.leaf
    outline = petal(length, width, rng.uniform(0.4, 0.55))
    cut = np.where(np.arange(len(outline)) % 2, 1 - habit.jagged, 1.0)
    shape = outline * np.stack([cut, np.ones(len(cut))], axis=1)
    tone = vary(habit.colour, 1, 14, rng)
    brush = Brush(draw, pose)
    brush.shapes(np.stack([shape, shape * (0.5, 0.9) + (width * 0.1, 0)]), np.concatenate([tone * 0.85, tone * 1.08]))
    brush.line(np.array([[0.0, 0.0], [0.0, -length * 0.9]]), 0.03, tone[0] * 1.25)


def draw_blades(
    draw: ImageDraw.ImageDraw, roots: Floats, height: float, colour: Colour, rng: np.random.Generator
) -> None:
    """Draw blades of grass.

    Args:
        draw: The picture.
        roots: Lower ends of the blades, shape (K, 2), in pixels.
        height: Mean height, in pixels.
        colour: Mean colour.
        rng: Source of the variation.
    """
    angles, heights = rng.normal(0, 0.35, len(roots)), height * rng.uniform(0.5, 1.3, len(roots))
    blades = ring(petal(1.0, 0.07, 0.3, 0.9), angles, heights)
    Brush(draw, Pose(0, 0, 1)).shapes(blades + roots[:, None], vary(colour, len(roots), 18, rng))
