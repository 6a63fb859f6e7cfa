"""Shapes of plants in the plant's own units, and a brush that draws them at a pose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw

Floats = npt.NDArray[np.float64]
Colour = Sequence[float] | Floats


@dataclass(frozen=True)
class Pose:
    """Position, size and rotation of a shape on a picture."""

    x: float  #: Centre, in pixels from the left.
    y: float  #: Centre, in pixels from the top.
    scale: float  #: Pixels of one unit.
    turn: float = 0.0  #: Rotation in the plane of the picture, in radians, clockwise.
    squash: float = 1.0  #: Height over width of a round shape: 1 is seen from above, less from aside.
    lean: float = 0.0  #: Direction along which it is squashed, in radians, clockwise.

    def place(self, points: Floats) -> Floats:
        """Convert points, shape (..., 2), from the plant's units to pixels."""
        turned = points @ _rotation(self.turn - self.lean)
        flat = turned * (1.0, self.squash) @ _rotation(self.lean)
        placed: Floats = flat * self.scale + (self.x, self.y)
        return placed


class Brush:
    """Draws at a pose; the picture's mode must be RGBA for translucent colours."""

    def __init__(self, draw: ImageDraw.ImageDraw, pose: Pose) -> None:
        self._draw = draw
        self._pose = pose

    def shapes(self, outlines: Floats, colours: Floats) -> None:
        """Fill outlines, shape (K, N, 2), in units, with colours, shape (K, 3) or (K, 4), 0 to 255, in this order."""
        places = self._pose.place(outlines).reshape(len(outlines), -1).tolist()
        for place, colour in zip(places, fills(colours), strict=True):
            self._draw.polygon(place, fill=colour)

    def discs(self, centres: Floats, radii: Floats, colours: Floats) -> None:
        """Fill small discs, which are round whatever the pose, in this order.

        Args:
            centres: Shape (K, 2), in units.
            radii: Shape (K,), in units.
            colours: Shape (K, 3) or (K, 4), 0 to 255.
        """
        places = self._pose.place(centres).tolist()
        for (x, y), radius, colour in zip(places, (radii * self._pose.scale).tolist(), fills(colours), strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def line(self, points: Floats, width: float, colour: Floats) -> None:
        """Draw a line.

        Args:
            points: Points that it passes through, shape (N, 2), in units.
            width: Its width, in units.
            colour: Shape (3,) or (4,), 0 to 255.
        """
        pixels = max(1, round(width * self._pose.scale))
        place = self._pose.place(points).ravel().tolist()
        self._draw.line(place, fill=fills(colour[None])[0], width=pixels, joint="curve")


def petal(length: float, width: float, widest: float, blunt: float = 0.8) -> Floats:
    """Return the outline, shape (18, 2), of a petal or leaf that grows from the origin along -y.

    Args:
        length: Length from base to tip.
        width: Greatest width.
        widest: Position of the greatest width, as a share of the length.
        blunt: 0.5 makes a round tip, 1 or more a pointed one.
    """
    along = np.linspace(0.0, 1.0, 9)
    half = width / 2 * np.sin(np.pi * along ** (np.log(0.5) / np.log(widest))) ** blunt
    right = np.stack([half, -length * along], axis=1)
    return np.concatenate([right, (right * (-1.0, 1.0))[::-1]])


def ring(outline: Floats, angles: Floats, sizes: Floats) -> Floats:
    """Turn copies of an outline, shape (N, 2), by `angles` and scale them by `sizes`, both of shape (K,): (K, N, 2)."""
    cos, sin = np.cos(angles) * sizes, np.sin(angles) * sizes
    copies: Floats = outline @ np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2)
    return copies


def vary(colour: Colour, count: int, spread: float, rng: np.random.Generator) -> Floats:
    """Draw random variants of a colour, most of them lighter or darker ones: shape (count, 3).

    Args:
        colour: The mean colour, shape (3,).
        count: Number of variants.
        spread: Standard deviation of the brightness.
        rng: Source of the variation.
    """
    light = rng.normal(0.0, spread, (count, 1)) + rng.normal(0.0, spread / 3, (count, 3))
    varied: Floats = np.asarray(colour) + light
    return varied


def _rotation(angle: float) -> Floats:
    """Return the matrix that turns row vectors clockwise on a picture, where y points down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def fills(colours: Floats) -> list[tuple[int, ...]]:
    """Convert colours, shape (K, C), to Pillow's K tuples, clipped to 0 to 255."""
    return [tuple(colour) for colour in np.minimum(np.maximum(colours, 0), 255).astype(int).tolist()]
