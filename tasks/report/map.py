"""The map of the bottlenecks: photos that the backbone finds alike lie near each other, in two dimensions."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from tasks.concurrency import map_ordered
from tasks.hardware import available_cores
from tasks.report.gallery import Gallery
from tasks.report.pictures import shrink
from tasks.report.view_model import BottleneckMap, MapPoint
from tasks.storage.layout import DataRoot
from tasks.train.features import Features
from tasks.train.head import Floats
from tasks.train.settings import TrainSettings

MOST_POINTS = 1000
THUMBNAIL_SIDE = 64

_QUALITY = 70
_COMPONENTS = 50
_NEIGHBOURS = 30.0
_STEPS = 500  # twice as many move the points of 1,000 photos by little, and take another second


def read_vectors(keys: Sequence[str], settings: TrainSettings, root: DataRoot) -> Floats:
    """Read the bottlenecks of photos' plain views, as signed square roots.

    Args:
        keys: Of n photos.
        settings: Of the head, and so of its bottlenecks.
        root: Where they are.

    Returns:
        float32 [n, D]: of all layers, or of the last ones where the head takes these alone.

    Raises:
        StoreError: A store has lost bottlenecks since, or a shard is damaged.
    """
    features = Features(pa.array(keys, pa.string()), settings, root)
    features.check([len(keys)] * len(settings.bottlenecks))
    last = features.columns.last
    taken = np.ones_like(last) if settings.rooted else last
    numbers = features.read(features.there, (0,), taken)
    return features.columns.values(numbers, taken, rooted=True)[:, 0]


def lay_out(vectors: Floats) -> tuple[npt.NDArray[np.float64], str]:
    """Lay bottlenecks out in two dimensions, near to each other where they are alike.

    Args:
        vectors: float32 [n, D], n at least 6.

    Returns:
        Their places, float64 [n, 2] in [0, 1], and how they were found.
    """
    told = "square roots standardised, then by principal components"
    if not np.ptp(vectors, axis=0).any():
        return np.full((len(vectors), 2), 0.5), "All bottlenecks of the plain view are the same."
    deviation = vectors.std(axis=0)
    vectors = (vectors - vectors.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    components = min(_COMPONENTS, *vectors.shape)
    principal = PCA(components, svd_solver="full", random_state=0).fit_transform(vectors)
    if components < 3:
        places = np.column_stack([principal, np.zeros(len(vectors))])[:, :2]
    else:
        near = min(_NEIGHBOURS, (len(vectors) - 1) / 3)
        told = f"{told} in {components} dimensions and t-SNE of {near:.0f} neighbours"
        # Its threads wait for each other by turning round: beside other work, two take several times as long as one.
        with threadpool_limits(1, user_api="openmp"):
            places = TSNE(init="pca", perplexity=near, max_iter=_STEPS, random_state=0).fit_transform(principal)
    low, high = places.min(axis=0), places.max(axis=0)
    extent = float((high - low).max()) or 1.0
    return (places - (low + high) / 2).astype(np.float64) / extent + 0.5, f"Bottlenecks of the plain view, {told}."


def draw_map(album: Gallery, settings: TrainSettings, root: DataRoot) -> BottleneckMap:
    """Make the map of the photos that an album has chosen for it.

    Args:
        album: The photos.
        settings: Of the head.
        root: Where the bottlenecks are.

    Raises:
        StoreError: A store has lost bottlenecks since, or a shard is damaged.
    """
    predicted, where = album.predicted, album.choice.points
    photos, predictions, splits = predicted.photos, predicted.predictions, predicted.photos.splits.names
    keys = [photos.sha256[place] for place in where]
    places, method = lay_out(read_vectors(keys, settings, root))
    pictures = [album.pictures[key] for key in keys]
    images = map_ordered(lambda picture: shrink(picture, THUMBNAIL_SIDE, _QUALITY), pictures, available_cores())
    points = [
        MapPoint(
            x=round(x, 4),
            y=round(y, 4),
            label=int(photos.truth[place]),
            split=splits[place],
            predicted=int(predictions[place]),
            path=photos.paths[place],
            image=image,
        )
        for place, (x, y), image in zip(where, places.tolist(), images, strict=True)
    ]
    return BottleneckMap(points, len(photos.sha256), method)
