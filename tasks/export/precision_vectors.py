"""Predictions of a head in the precision of an exported file, by the pipeline itself.

The bottlenecks of test photos in another precision than the head's are kept beside the head's own bottlenecks. A run
applies its head to all of them. New test photos are left out until they are worth loading the networks.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
#: Share of the photos that may lack vectors before they are computed.
_MOST_LACKING = 0.05


class _Vectors(NamedTuple):
    """Bottlenecks of photos."""

    keys: npt.NDArray[np.str_]  #: The photos' sha256, [N].
    numbers: Numbers  #: Stored numbers of the plain views: uint8 or int16 [N, V, D].

    def joined(self, others: "_Vectors") -> "_Vectors":
        """Return these photos and others."""
        return _Vectors(np.concatenate([self.keys, others.keys]), np.concatenate([self.numbers, others.numbers]))

    def find(self, keys: Sequence[str]) -> Numbers:
        """Return the numbers of some of the photos, in the order of their keys."""
        order = np.argsort(self.keys)
        return self.numbers[order[np.searchsorted(self.keys, keys, sorter=order)]]


@dataclass(frozen=True)
class PrecisionPredictor:
    """Predicts photos with a head as the pipeline does in another precision."""

    precision: Precision
    model: Model  #: The model; it has a head.
    pictures: StoredPictures  #: The pictures of the photos.
    progress: Progress

    def predict(self, keys: Sequence[str]) -> tuple[list[str], Floats]:
        """Predict photos, given by their keys, but for a few whose vectors are not known yet.

        Returns:
            The keys of the n photos that it predicted, in their order, and float32 [n, C].

        Raises:
            BackboneError: The weights are missing or have changed, or cannot be computed in this precision.
            StoreError: The decoded store, or a cached network, is damaged.
        """
        settings = cast("TrainSettings", self.model.settings)
        columns = columns_of(settings)
        views = sum(crop.all_views for crop in settings.crops)
        vectors = [self._embed(keys, part.bottleneck) for part in parts_of(settings)]
        known = set.intersection(*(set(own.keys.tolist()) for own in vectors))
        found = [key for key in keys if key in known]
        numbers = np.zeros((len(found), views, len(columns.steps)), columns.dtype)
        for part, kept in zip(parts_of(settings), vectors, strict=True):
            own = kept.find(found)
            numbers[:, part.views.start : part.views.start + own.shape[1], part.numbers] = own
        return found, load_head(self.model.folder).probabilities(head_values(numbers, settings, columns))

    def _embed(self, keys: Sequence[str], bottleneck: BottleneckSettings) -> _Vectors:
        """Read the bottlenecks of photos, and compute and keep missing ones if they are more than a few."""
        own = self.pictures.root.bottleneck(bottleneck.key)
        file = own / f"vectors-{self.precision}.npz"
        known = _read(file)
        there = set() if known is None else set(known.keys.tolist())
        missing = [key for key in keys if key not in there]
        if known is None or len(missing) > _MOST_LACKING * len(keys):
            settings = replace(bottleneck, precision=self.precision)
            folder = self.pictures.root.bottleneck(settings.key) if self.precision == "int8" else own
            forward = open_forward(settings, self.model.weights_of(bottleneck.backbone), folder, self.progress)
            new = _Vectors(np.array(missing), self._compute(missing, settings, forward))
            known = new if known is None else known.joined(new)
            _publish(file, known, keys)
        return known

    def _compute(self, keys: Sequence[str], settings: BottleneckSettings, forward: Forward) -> Numbers:
        self.progress.start(len(keys), "photo")

        def embed(batch: Sequence[str]) -> Numbers:
            pixels = self.pictures.read(batch, settings.decode)
            averages = np.stack([forward(view) for view in draw_views([], pixels, settings.views)], axis=1)
            return quantise(averages, settings.quantisation, list(batch))

        batches = (keys[start : start + forward.batch_size] for start in range(0, len(keys), forward.batch_size))
        computed = []
        for numbers in map_ordered(embed, batches, forward.workers):
            computed.append(numbers)
            self.progress.advance(len(numbers))
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
