"""The map of the bottlenecks as a page shows it: points by label, and what the script needs to tell of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.report.inline_images import TILE, TILES_ACROSS, tile_pictures
from tasks.report.svg import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from tasks.report.view_model import BottleneckMap, MapPoint

SIDE = 640
"""Width and height of the map in its own units."""

_MARGIN = 14
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
_GOLDEN_ANGLE = 137.508  # degrees: however many hues there are, two that follow each other lie far apart


@dataclass(frozen=True)
class MapMarker:
    """A point of the map.

    Args:
        x: From left to right, in units of the map.
        y: From top to bottom, likewise.
        wrong: Whether the photo is predicted to have another label.
    """

    x: int
    y: int
    wrong: bool


@dataclass(frozen=True)
class LabelPoints:
    """The points of a label.

    Args:
        label: Place of the label among the report's labels.
        name: The label.
        colour: Its colour, as CSS has it.
        marks: Its points, the mistakes last, above the others.
    """

    label: int
    name: str
    colour: str
    marks: Sequence[MapMarker]


@dataclass(frozen=True)
class MapView:
    """The map, ready to be written into a page.

    Args:
        groups: The points by label, in the labels' order; a label without any has no group.
        radius: Of a point, in units of the map.
        mistakes: How many points are mistakes.
        data: What the script needs, as JSON can hold it; its points are in the order of the groups' marks.
    """

    groups: Sequence[LabelPoints]
    radius: float
    mistakes: int
    data: dict[str, Any]


def view_map(shown: BottleneckMap, labels: Sequence[str]) -> MapView:
    """Lay out the map.

    Args:
        shown: The map.
        labels: The report's labels.

    Raises:
        PIL.UnidentifiedImageError: A point's picture is none.
    """
    ordered = sorted(shown.points, key=lambda point: (point.label, _is_wrong(point)))
    places = [(_place(point.x), _place(1 - point.y)) for point in ordered]
    groups = []
    for label, name in enumerate(labels):
        marks = [
            MapMarker(*place, _is_wrong(point))
            for point, place in zip(ordered, places, strict=True)
            if point.label == label
        ]
        if marks:
            groups.append(LabelPoints(label, name, _colour(label, len(labels)), marks))
    data = {
        "labels": list(labels),
        "points": [
            [*place, point.label, point.predicted, point.split, point.path]
            for point, place in zip(ordered, places, strict=True)
        ],
        "sheets": tile_pictures([point.image for point in ordered]),
        "tile": TILE,
        "across": TILES_ACROSS,
    }
    # A share of the map's area is inked, whether the points are many or few.
    radius = min(7.0, max(2.8, 140 / max(len(ordered), 1) ** 0.5))
    return MapView(groups, round(radius, 1), sum(map(_is_wrong, ordered)), data)


def _is_wrong(point: MapPoint) -> bool:
    return point.predicted != point.label


def _place(share: float) -> int:
    return round(_MARGIN + share * (SIDE - 2 * _MARGIN))


def _colour(label: int, labels: int) -> str:
    if labels <= len(_COLOURS):
        return _COLOURS[label]
    return f"oklch(var(--map-light) 0.15 {label * _GOLDEN_ANGLE % 360:.0f})"
