"""Runs a model: from pixels to the probabilities of its labels, the same as in its evaluation, and the novelty."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.quantisation import Numbers, quantise
from tasks.bottleneck.views import Pixels, draw_views
from tasks.concurrency import map_ordered
from tasks.errors import ModelError
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.storage.layout import DataRoot
from tasks.train.features import FeaturePart, columns_of, head_values, parts_of
from tasks.train.head import Floats, Predictions, load_head
from tasks.train.settings import TrainSettings


class _Loaded(NamedTuple):
    """A loaded model; see `Predictor`."""

    batch_size: int
    workers: int
    threshold: float | None
    predict: Callable[[Sequence[Pixels]], Predictions]


class Predictor:
    """Predicts photos from their pixels.

    Attributes:
        model: The model.
        decodes: The ways to decode photos for it.
        batch_size: Photos that `predict_batch` takes at most.
        workers: Threads that may call `predict_batch` at once, and should, to keep the machine busy.
        threshold: Novelty above which a photo is unknown; None if the model has none.

    Raises:
        ModelError: Its head or network is missing.
        BackboneError: The backbone's weights are missing or have changed.
        StoreError: The head, the network, or a cached network is damaged.
    """

    def __init__(self, model: Model, progress: Progress) -> None:
        self.model, self.decodes = model, model.decodes
        try:
            if isinstance(model.settings, TrainSettings):
                loaded = _open_head(model, model.settings, progress)
            else:
                loaded = _open_network(model, progress)
        except FileNotFoundError as exc:
            raise ModelError(
                f"The model in {model.folder} is incomplete: {exc.filename or exc} is missing. Delete the folder and "
                "start the run again that trained it."
            ) from exc
        self.batch_size, self.workers, self.threshold, self._batch = loaded

    def predict_batch(self, pixels: Sequence[Pixels]) -> Predictions:
        """Predict a batch of N photos.

        Args:
            pixels: The pictures as the decode stage makes them, for each of `decodes`: uint8 [N, S, S, 3], RGB, 0 to
                255.

        Returns:
            The predictions, in the order of the model's labels.
        """
        return self._batch(pixels)

    def predict(self, pixels: Sequence[Pixels]) -> Floats:
        """Predict the probabilities of any number of photos, float32 [N, C]; see `predict_batch`."""
        starts = range(0, len(pixels[0]), self.batch_size)
        batches = ([pictures[start : start + self.batch_size] for pictures in pixels] for start in starts)
        predicted = (each.probabilities for each in map_ordered(self._batch, batches, self.workers))
        return np.concatenate([np.empty((0, len(self.model.labels)), np.float32), *predicted])


class Embedding(NamedTuple):
    """Computes the inputs of a head."""

    batch_size: int  #: Photos in a call at most.
    workers: int  #: Threads that may call it at once.
    #: From pictures, uint8 [N, S, S, 3] for each way to decode, to the inputs of the head, float32 [N, V, D].
    embed: Callable[[Sequence[Pixels]], Floats]


class _Embedder(NamedTuple):
    """Computes the bottlenecks of one store, quantised as in the store."""

    part: FeaturePart  #: The settings of the bottlenecks, and their positions among the numbers of a photo.
    decode: int  #: Index of its pictures among the predictor's `decodes`.
    forward: Forward  #: The backbone.
    views: int  #: Plain views of each picture: 1 or 2.

    def embed(self, pixels: Pixels) -> Numbers:
        """Pictures, uint8 [N, S, S, 3], to stored numbers [N, V, D]."""
        name = f"a photo, by {self.part.bottleneck.backbone.name},"
        # Only distorted views need the photos' keys.
        averages = np.stack([self.forward(view) for view in draw_views([], pixels, self.views)], axis=1)
        return quantise(averages, self.part.bottleneck.quantisation, [name] * len(averages))


def _open_head(model: Model, settings: TrainSettings, progress: Progress) -> _Loaded:
    head, (batch_size, workers, embed) = load_head(model.folder), open_embedding(model, settings, progress)
    return _Loaded(batch_size, workers, head.threshold, lambda pixels: head.predict(embed(pixels)))


def open_embedding(model: Model, settings: TrainSettings, progress: Progress) -> Embedding:
    """Load the backbones of a head with these settings; for the errors see `Predictor`."""
    columns = columns_of(settings)
    embedders = [_open_embedder(part, model, settings, progress) for part in parts_of(settings)]
    shape = sum(crop.all_views for crop in settings.crops), len(columns.steps)

    def embed(pixels: Sequence[Pixels]) -> Floats:
        numbers = np.zeros((len(pixels[0]), *shape), columns.dtype)
        for embedder in embedders:
            own = embedder.embed(pixels[embedder.decode])
            first = embedder.part.views.start
            numbers[:, first : first + own.shape[1], embedder.part.numbers] = own
        return head_values(numbers, settings, columns)

    forwards = [embedder.forward for embedder in embedders]
    batch_size, workers = (min(getattr(each, name) for each in forwards) for name in ("batch_size", "workers"))
    return Embedding(batch_size, workers, embed)


def _open_embedder(part: FeaturePart, model: Model, settings: TrainSettings, progress: Progress) -> _Embedder:
    bottleneck = part.bottleneck
    folder = DataRoot.above(model.folder).bottleneck(bottleneck.key)
    forward = open_forward(bottleneck, model.weights_of(bottleneck.backbone), folder, progress)
    views = min(bottleneck.views, len(settings.predicting_views))
    return _Embedder(part, model.decodes.index(bottleneck.decode), forward, views)


def _open_network(model: Model, progress: Progress) -> _Loaded:
    with progress.preparing("imports"):
        from tasks.train.network import BATCH_SIZE, read_network  # noqa: PLC0415 (heads need no TensorFlow)

    with progress.preparing("network"):
        network = read_network(model.folder, model.prepared[0]).predictor()
    # One batch uses all cores; meanwhile, a second thread decodes the next one.
    return _Loaded(BATCH_SIZE, 2, None, lambda pixels: Predictions(network(pixels[0]), None))
