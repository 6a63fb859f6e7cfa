"""Near duplicates: one picture resized, re-encoded, a little cropped or mirrored, and consecutive shots of one scene.

Two photos are near duplicates if the cosine of their whitened bottlenecks is at least `SIMILAR`. Bottlenecks of earlier
layers, which tell apart more than labels do, are averaged over the views, so that a mirrored photo has nearly the
vector of the photo. A count sketch (Charikar et al. 2002, https://doi.org/10.1007/3-540-45465-9_59) shortens them, and
the inverse square root of their covariance whitens them: what many photos have in common counts little, and photos that
are merely alike are nearly orthogonal.

Few photos are compared with all others. Many are divided into overlapping cells, and compared within these, so that the
time grows with the number of photos, not with its square. Each photo is in the cells of its nearest pivots, which are
photos, by the cosine of vectors that are not whitened: there, likeness has neighbourhoods.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from tasks.bottleneck.quantisation import Floats
from tasks.concurrency import map_ordered
from tasks.evaluate.metrics import measure
from tasks.evaluate.predictions import PredictedPhotos, intact
from tasks.hardware import available_cores
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.schemas import NEAR_DUPLICATES, describe
from tasks.train.features import Features, Indices, Mask
from tasks.train.photos import EmbeddedPhotos, LabelledPhotos

FILE = "near_duplicates.parquet"
#: Least cosine of near duplicates. Of 2,000 halved photos and their originals, 1 % have less; of the 2 million pairs of
#: these photos, 35 have more, and most of these are consecutive shots.
SIMILAR = 0.5
#: Unlike vectors of few numbers have larger cosines by chance: at least this, divided by the root of the number.
_BY_CHANCE = 4.0
#: Numbers of a sketch at most, and at least so many photos for each of them.
_MOST_NUMBERS, _PHOTOS_PER_NUMBER = 512, 2
#: Added to the variance of each number of a sketch, in units of their mean variance: bounds the gain of whitening.
_RIDGE = 0.2
#: Photos up to which all are compared; of more photos, those of a cell, of which these many have their covariance.
_MOST_COMPARED = 16_384
#: Cells of a photo, and photos for each cell.
_CELLS, _PHOTOS_PER_CELL = 6, 512
#: Photos that are compared with all others of their cell at once.
_ROWS = 256

Sketches = npt.NDArray[np.float16]


class NearDuplicates(NamedTuple):
    """Groups of near duplicates among N photos."""

    #: Number of each photo's group, int64 [N]; -1 for none. Groups with different labels come first, then those whose
    #: photos are more similar.
    group: Indices
    similarity: Floats  #: Cosine with the most similar photo, float32 [N] in [-1, 1]; 0 for photos without a group.

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.group.max(initial=-1)) + 1

    def disputed(self, truth: Indices) -> Mask:
        """Select the photos of groups with different labels, bool [N], given the index of each photo's label."""
        grouped = self.group >= 0
        groups = np.unique(np.stack([self.group[grouped], truth[grouped]]), axis=1)[0]
        return np.isin(self.group, np.flatnonzero(np.bincount(groups) > 1))


def find_near_duplicates(photos: EmbeddedPhotos, progress: Progress) -> NearDuplicates:
    """Find near duplicates by their bottlenecks; the same photos always give the same groups.

    Fewer than 34 photos have no vectors that tell copies from photos that are merely alike: none is found.

    Raises:
        StoreError: A shard is damaged or gone.
    """
    sketches = _sketch(photos.features)
    similar = max(SIMILAR, _BY_CHANCE / math.sqrt(max(1, sketches.shape[1])))
    root, similarity = np.arange(len(sketches)), np.zeros(len(sketches), np.float32)
    if similar < 1:
        # Several threads compare: BLAS's own would wait for each other.
        with threadpool_limits(1, user_api="blas"):
            cells = _divide(sketches)
            _whiten(sketches)
            progress.start(sum(map(len, cells)), "comparison")
            for cell in cells:
                for one, other, cosines in _similar_pairs(sketches[cell].astype(np.float32), similar):
                    np.maximum.at(similarity, cell[one], cosines)
                    np.maximum.at(similarity, cell[other], cosines)
                    _unite(root, cell[one], cell[other])
                progress.advance(len(cell))
    return _number_groups(root, np.round(similarity, 4), photos.truth)


def measure_near_duplicates(predicted: PredictedPhotos, found: NearDuplicates) -> dict[str, Any]:
    """Count near duplicates, and measure the test photos without those that have one in training.

    The head is trained on the train and the validation split.

    Returns:
        Two entries of metrics.json: `near_duplicates`, and `test_without_near_duplicates`, which is None if no test
        photo is left out; its `accuracy` and `interval` are None if all are.
    """
    photos, test, grouped = predicted.photos, predicted.photos.of("test"), found.group >= 0
    counts = {
        "groups": found.groups,
        "photos": int(grouped.sum()),
        "with_different_labels": len(np.unique(found.group[found.disputed(photos.truth)])),
    }
    left_out = test & grouped & np.isin(found.group, found.group[~test])
    kept = test & ~left_out
    without = None if not left_out.any() else {"left_out": int(left_out.sum()), **_accuracy(predicted, kept)}
    return {"near_duplicates": counts, "test_without_near_duplicates": without}


def _accuracy(predicted: PredictedPhotos, chosen: Mask) -> dict[str, Any]:
    if not chosen.any():
        return {"photos": 0, "accuracy": None, "interval": None}
    photos = predicted.photos
    measured = measure(photos.truth[chosen], predicted.probabilities[chosen], photos.labels).to_json()
    return {name: measured[name] for name in ("photos", "accuracy", "interval")}


def publish_near_duplicates(
    evaluation: AnyPath, photos: LabelledPhotos, found: NearDuplicates, settings: Mapping[str, object]
) -> None:
    """Publish the groups in the folder of an evaluation, in their order; the more similar photos of a group first."""
    rows = np.lexsort((-found.similarity, found.group))[int((found.group < 0).sum()) :]
    names = photos.splits.names
    columns = {
        "group": found.group[rows],
        "sha256": [photos.sha256[row] for row in rows],
        "path": [photos.paths[row] for row in rows],
        "label": [photos.labels[label] for label in photos.truth[rows]],
        "split": [names[row] for row in rows],
        "similarity": found.similarity[rows],
    }
    schema = describe(NEAR_DUPLICATES, "evaluate", evaluation.name, {"similar": SIMILAR, **settings})
    publish_parquet(evaluation / FILE, pa.table(columns, schema))


def read_near_duplicates(evaluation: AnyPath, groups: int) -> pa.Table:
    """Read the first groups of an evaluation, in the order of `NEAR_DUPLICATES`.

    Raises:
        DamagedError: The file is missing, damaged or of another version.
    """
    path = evaluation / FILE
    with intact(path):
        table = read_parquet(path)
        if not table.schema.equals(NEAR_DUPLICATES):
            raise ValueError("it has other columns")
        return table.filter(pc.less(table["group"], groups))


def _sketch(features: Features) -> Sketches:
    """Shorten the bottlenecks of N photos, averaged over the views that predict, to K numbers: [N, K]."""
    (photos, _, width), last = features.shape, features.columns.last
    layers, views = last if last.all() else ~last, list(features.settings.predicting_views)
    numbers = min(_MOST_NUMBERS, photos // _PHOTOS_PER_NUMBER, int(layers.sum()))
    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), width)
    signs *= features.columns.steps * layers / len(views)
    sketches = np.zeros((photos, numbers), np.float16)
    for indices, block in features.blocks(np.ones(photos, bool)):
        signed = block[:, views].sum(axis=1, dtype=np.float32) * signs
        short = np.zeros((len(block), numbers), np.float32)
        for start in range(0, width, max(1, numbers)):
            part = signed[:, start : start + numbers]
            short[:, : part.shape[1]] += part
        sketches[indices] = short
    return sketches


def _divide(sketches: Sketches) -> list[Indices]:
    """Divide photos into overlapping cells, int64 [n] each: one of all if they are few."""
    if len(sketches) <= _MOST_COMPARED:
        return [np.arange(len(sketches))]
    # Photos are sorted by their hashes: the first ones are as good as random.
    mean = sketches[:_MOST_COMPARED].mean(axis=0, dtype=np.float32)
    pivots = _scale(sketches[: len(sketches) // _PHOTOS_PER_CELL] - mean)
    nearest = np.empty((len(sketches), _CELLS), np.int32)
    for rows in _rows(len(sketches)):
        cosines = _scale(sketches[rows] - mean) @ pivots.T
        nearest[rows] = np.argpartition(-cosines, _CELLS, axis=1)[:, :_CELLS]
    order = np.argsort(nearest, axis=None, kind="stable")
    cells = np.split(order // _CELLS, np.cumsum(np.bincount(nearest.ravel()))[:-1])
    # A cell of more photos is cut, so that the time grows with their number even if most are near one pivot.
    return [cell[start : start + _MOST_COMPARED] for cell in cells for start in range(0, len(cell), _MOST_COMPARED)]


def _whiten(sketches: Sketches) -> None:
    """Whiten sketches in place, and give them the length 1."""
    sample = sketches[:_MOST_COMPARED].astype(np.float32)
    mean = sample.mean(axis=0)
    sample -= mean
    covariance = (sample.T @ sample).astype(np.float64) / len(sample)
    # The smallest normal number, since photos may all be the same.
    covariance[np.diag_indices(len(mean))] += _RIDGE * covariance.trace() / len(mean) + np.finfo(np.float32).tiny
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T.astype(np.float32)
    for rows in _rows(len(sketches)):
        sketches[rows] = _scale((sketches[rows] - mean) @ whitening)


def _scale(vectors: Floats) -> Floats:
    """Give vectors, [n, K], the length 1; those of length 0 stay."""
    scaled: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return scaled


def _similar_pairs(vectors: Floats, similar: float) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Find the pairs of n photos that have at least this cosine, given vectors of length 1, float32 [n, K].

    Returns:
        Indices of one and of the other photo of pairs, and their cosines.
    """

    def compare(rows: slice) -> tuple[Indices, Indices, Floats]:
        cosines = vectors[rows] @ vectors[rows.start :].T
        one, other = np.nonzero(cosines >= similar)
        one, other = one[other > one], other[other > one]
        return rows.start + one, rows.start + other, cosines[one, other]

    return map_ordered(compare, _rows(len(vectors)), available_cores())


def _rows(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS))


def _unite(root: Indices, one: Indices, other: Indices) -> None:
    """Unite the groups of pairs, given the smallest photo of each photo's group, int64 [N], which is changed."""
    while (root[one] != root[other]).any():
        np.minimum.at(root, np.maximum(root[one], root[other]), np.minimum(root[one], root[other]))
        while (root != root[root]).any():
            root[:] = root[root]


def _number_groups(root: Indices, similarity: Floats, truth: Indices) -> NearDuplicates:
    """Number the groups in their order, given the smallest photo of each photo's group."""
    firsts, group, sizes = np.unique(root, return_inverse=True, return_counts=True)
    most, lowest, highest = np.zeros(len(firsts), np.float32), truth[firsts], truth[firsts]
    np.maximum.at(most, group, similarity)
    np.minimum.at(lowest, group, truth)
    np.maximum.at(highest, group, truth)
    order = np.lexsort((-most, lowest == highest, sizes == 1))
    number = np.empty(len(firsts), np.int64)
    number[order] = np.arange(len(firsts))
    number[sizes == 1] = -1
    return NearDuplicates(number[group], similarity)
