"""Predictions of a head in the precision of an exported file, by the pipeline itself.

The bottlenecks of test photos in another precision than the head's are kept beside the head's own bottlenecks. A run
computes only those of new test photos, and applies its head to all of them.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.precision import Precision
from tasks.bottleneck.quantisation import Numbers, quantise
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import draw_views
from tasks.concurrency import map_ordered
from tasks.export.photos import StoredPictures
from tasks.paths import AnyPath
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.files import publish_bytes, read_bytes
from tasks.train.features import columns_of, head_values, parts_of
from tasks.train.head import Floats, load_head
from tasks.train.settings import TrainSettings

#: Photos whose vectors stay, those of the last runs first.
_KEPT_PHOTOS = 1000


class _Vectors(NamedTuple):
    """Bottlenecks of photos."""

    keys: npt.NDArray[np.str_]  #: The photos' sha256, [N].
    numbers: Numbers  #: Stored numbers of the plain views: uint8 or int16 [N, V, D].

    def find(self, keys: Sequence[str]) -> Numbers:
        """Return the numbers of some of the photos, in the order of their keys."""
        order = np.argsort(self.keys)
        return self.numbers[order[np.searchsorted(self.keys, keys, sorter=order)]]


def predict_in(
    precision: str, model: Model, keys: Sequence[str], pictures: StoredPictures, progress: Progress
) -> Floats:
    """Predict N photos with a head as the pipeline does in another precision.

    Returns:
        float32 [N, C].

    Raises:
        BackboneError: The backbone's weights are missing or have changed, or cannot be computed in this precision.
        StoreError: The decoded store, or a cached network, is damaged.
    """
    settings = cast("TrainSettings", model.settings)
    columns = columns_of(settings)
    views = sum(crop.all_views for crop in settings.crops)
    numbers = np.zeros((len(keys), views, len(columns.steps)), columns.dtype)
    for part in parts_of(settings):
        own = _embed(cast("Precision", precision), part.bottleneck, model, keys, pictures, progress)
        numbers[:, part.views.start : part.views.start + own.shape[1], part.numbers] = own
    return load_head(model.folder).probabilities(head_values(numbers, settings, columns))


def _embed(
    precision: Precision,
    bottleneck: BottleneckSettings,
    model: Model,
    keys: Sequence[str],
    pictures: StoredPictures,
    progress: Progress,
) -> Numbers:
    """Read the bottlenecks of photos in a precision, and compute and keep those that are missing."""
    own = pictures.root.bottleneck(bottleneck.key)
    file = own / f"vectors-{precision}.npz"
    known = _read(file)
    there = set() if known is None else set(known.keys.tolist())
    if missing := [key for key in keys if key not in there]:
        settings = replace(bottleneck, precision=precision)
        folder = pictures.root.bottleneck(settings.key) if precision == "int8" else own
        forward = open_forward(settings, model.weights_of(bottleneck.backbone), folder, progress)
        new = _Vectors(np.array(missing), _compute(forward, settings, missing, pictures, progress))
        known = new if known is None else _Vectors(*map(np.concatenate, zip(new, known, strict=True)))
        _publish(file, known, keys)
    assert known is not None
    return known.find(keys)


def _compute(
    forward: Forward,
    settings: BottleneckSettings,
    keys: Sequence[str],
    pictures: StoredPictures,
    progress: Progress,
) -> Numbers:
    progress.start(len(keys), "photo")

    def embed(batch: Sequence[str]) -> Numbers:
        pixels = pictures.read(batch, settings.decode)
        averages = np.stack([forward(view) for view in draw_views([], pixels, settings.views)], axis=1)
        return quantise(averages, settings.quantisation, list(batch))

    batches = (keys[start : start + forward.batch_size] for start in range(0, len(keys), forward.batch_size))
    computed = []
    for numbers in map_ordered(embed, batches, forward.workers):
        computed.append(numbers)
        progress.advance(len(numbers))
    return np.concatenate(computed)


def _read(file: AnyPath) -> _Vectors | None:
    """Read kept vectors; None if there are none or they are damaged, since they are made again."""
    try:
        with np.load(io.BytesIO(read_bytes(file)), allow_pickle=False) as arrays:
            return _Vectors(arrays["keys"], arrays["numbers"])
    except (OSError, LookupError, ValueError, EOFError):
        return None


def _publish(file: AnyPath, vectors: _Vectors, used: Sequence[str]) -> None:
    """Keep the vectors of the photos that are used, and of others up to a number."""
    first = np.argsort(~np.isin(vectors.keys, used), kind="stable")[: max(_KEPT_PHOTOS, len(used))]
    buffer = io.BytesIO()
    np.savez(buffer, keys=vectors.keys[first], numbers=vectors.numbers[first])
    publish_bytes(file, buffer.getvalue())
