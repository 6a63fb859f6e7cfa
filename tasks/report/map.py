"""Map of the bottlenecks in two dimensions: photos that the backbone finds alike lie near each other."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from tasks.report import tsne
from tasks.report.gallery import Gallery
from tasks.report.inline_images import TILE, TILES_ACROSS, tile_pictures
from tasks.report.results import Doubles
from tasks.report.svg import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from tasks.storage.layout import DataRoot
from tasks.train.features import Features
from tasks.train.head import Floats
from tasks.train.settings import TrainSettings

MAX_POINTS = 1000
#: Width and height of the map in its own units.
SIDE = 640

_MARGIN = 14
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
_GOLDEN_ANGLE = 137.508  # degrees: however many hues there are, two that follow each other lie far apart
_COMPONENTS, _OVERSAMPLED, _POWERS = 50, 14, 6
_NEIGHBOURS = 30.0


class MapPoint(NamedTuple):
    """A photo on the map."""

    x: float  #: Position from left to right, in [0, 1].
    y: float  #: Position from bottom to top, in [0, 1].
    label: int  #: Index of the label.
    split: str  #: Name of the split.
    predicted: int  #: Index of the predicted label.
    path: str  #: Path in the dataset.

    @property
    def position(self) -> tuple[int, int]:
        """Position from left to right and from top to bottom, in units of the map."""
        x, y = (round(_MARGIN + share * (SIDE - 2 * _MARGIN)) for share in (self.x, 1 - self.y))
        return x, y

    @property
    def wrong(self) -> bool:
        """Whether the predicted label is another one."""
        return self.predicted != self.label


@dataclass(frozen=True)
class BottleneckMap:
    """A map of bottlenecks."""

    points: Sequence[MapPoint]  #: The photos on the map, by label, the mistakes of each last.
    labels: Sequence[str]  #: All labels.
    photos: int  #: Number of photos that the points were selected from.
    method: str  #: One sentence on how the map was made.
    sheets: Sequence[str]  #: The points' images in their order, as `tile_pictures` returns them.

    def colour(self, label: int) -> str:
        """Return the CSS colour of a label, given by its index."""
        if len(self.labels) <= len(_COLOURS):
            return _COLOURS[label]
        return f"oklch(var(--map-light) 0.15 {label * _GOLDEN_ANGLE % 360:.0f})"

    @property
    def mistakes(self) -> int:
        """Number of points that are mistakes."""
        return sum(point.wrong for point in self.points)

    @property
    def radius(self) -> float:
        """Radius of a point in units of the map; the points cover about the same area, few or many."""
        return round(min(7.0, max(2.8, 140 / math.sqrt(max(len(self.points), 1)))), 1)

    def script_data(self) -> dict[str, Any]:
        """Return the script's data as JSON can hold it."""
        return {
            "labels": list(self.labels),
            "points": [[*each.position, each.label, each.predicted, each.split, each.path] for each in self.points],
            "sheets": list(self.sheets),
            "tile": TILE,
            "across": TILES_ACROSS,
        }


def draw_map(gallery: Gallery, indices: Sequence[int], settings: TrainSettings, root: DataRoot) -> BottleneckMap:
    """Make the map of some photos of a gallery, given by their indices.

    Raises:
        PIL.UnidentifiedImageError: The image of a photo is none.
        StoreError: A store has lost bottlenecks, or a shard is damaged.
    """
    photos, predicted = gallery.predicted.photos, gallery.predicted.predicted
    truth, splits = photos.truth, photos.splits.names
    # The mistakes of a label are last, so that they are drawn above the others.
    indices = sorted(indices, key=lambda index: (truth[index], predicted[index] != truth[index]))
    keys = [photos.sha256[index] for index in indices]
    with ThreadPoolExecutor(1) as beside:
        sheets = beside.submit(tile_pictures, [gallery.images[key] for key in keys])
        vectors = read_vectors(keys, settings, root)
        # OpenBLAS's threads wait for each other in loops: beside other work, two take many times as long as one.
        with threadpool_limits(1, user_api="blas"):
            positions, method = embed_in_plane(vectors)
    points = [
        MapPoint(
            x=round(x, 4),
            y=round(y, 4),
            label=int(truth[index]),
            split=splits[index],
            predicted=int(predicted[index]),
            path=photos.paths[index],
        )
        for index, (x, y) in zip(indices, positions.tolist(), strict=True)
    ]
    return BottleneckMap(points, photos.labels, len(photos.sha256), method, sheets.result())


def read_vectors(keys: Sequence[str], settings: TrainSettings, root: DataRoot) -> Floats:
    """Read the bottlenecks of the plain views of n photos, given by their keys, as signed square roots.

    Returns:
        float32 [n, D]: values of all layers, or of the last ones if the head takes these alone.

    Raises:
        StoreError: A store has lost bottlenecks, or a shard is damaged.
    """
    features = Features.find(pa.array(keys, pa.string()), settings, root)
    features.check([len(keys)] * len(settings.bottlenecks))
    last = features.columns.last
    taken = np.ones_like(last) if settings.rooted else last
    numbers = features.read(features.complete, (0,), taken)
    return features.columns.values(numbers, taken, rooted=True)[:, 0]


def embed_in_plane(vectors: Floats) -> tuple[Doubles, str]:
    """Embed bottlenecks, float32 [n, D], n at least 6, in two dimensions, so that similar ones lie near each other.

    Returns:
        Positions, float64 [n, 2] in [0, 1], and one sentence on the method.
    """
    if not np.ptp(vectors, axis=0).any():
        return np.full((len(vectors), 2), 0.5), "All bottlenecks of the plain view are the same."
    components = min(_COMPONENTS, *vectors.shape)
    principal = _principal_components(vectors, components)
    method = "Bottlenecks of the plain view, square roots standardised, then by principal components"
    if components < 3:
        positions = np.column_stack([principal, np.zeros(len(vectors))])[:, :2]
    else:
        near = min(_NEIGHBOURS, (len(vectors) - 1) / 3)
        method = f"{method} in {components} dimensions and t-SNE of {near:.0f} neighbours"
        positions = tsne.embed(principal, near)
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = float((high - low).max()) or 1.0
    return (positions - (low + high) / 2).astype(np.float64) / extent + 0.5, f"{method}."


def _principal_components(vectors: Floats, count: int) -> Doubles:
    """Return the first principal components of standardised vectors.

    With the singular value decomposition X = U S V', the inner products are X X' = U S^2 U', and the components U S. A
    few products with random vectors, of which each brings the greatest singular values out more, replace the
    decomposition (Halko et al. 2011, Finding structure with randomness, algorithm 4.4).

    Args:
        vectors: float32 [n, D].
        count: Number of components, at most n and D.

    Returns:
        float64 [n, count]; the value of each that is farthest from 0 is positive.
    """
    # The deviation of values that are all the same is not always 0, by rounding.
    spread = np.where(np.ptp(vectors, axis=0) > 0, vectors.std(axis=0), 1)
    standardised = (vectors - vectors.mean(axis=0)) / spread
    products = standardised @ standardised.T
    basis = np.random.default_rng(0).standard_normal((len(vectors), count + _OVERSAMPLED), np.float32)
    for _ in range(_POWERS):
        basis, _ = np.linalg.qr(products @ basis)
    squares, turns = np.linalg.eigh(basis.T @ products @ basis)
    principal: Doubles = (basis @ turns * np.sqrt(np.maximum(squares, 0)))[:, : -count - 1 : -1].astype(np.float64)
    largest = np.take_along_axis(principal, np.abs(principal).argmax(axis=0)[None], axis=0)
    return np.copysign(1.0, largest) * principal
