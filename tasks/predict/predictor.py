"""A model at work: from pixels to the probabilities of its labels, with the numbers that its evaluation saw."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tasks.artifacts import DataRoot
from tasks.bottleneck.forward import open_forward
from tasks.bottleneck.stored import to_stored
from tasks.bottleneck.views import Pixels, Views
from tasks.errors import ModelError
from tasks.predict.models import Model
from tasks.progress import Progress
from tasks.threads import in_threads
from tasks.train.examples import Floats
from tasks.train.head import load_head
from tasks.train.settings import TrainSettings


class Predictor:
    """Predicts photos from their pixels.

    Args:
        model: The model.
        progress: Told what is being prepared.

    Attributes:
        model: The model.
        batch_size: Photos that `predict_batch` takes at most.
        workers: How many threads may call `predict_batch` at once, and should, to keep the machine busy.

    Raises:
        ModelError: Its head or network is missing.
        BackboneError: The backbone's weights are missing or not as they should be.
        StoreError: The head or network, or an int8 network that is kept, is damaged.
    """

    def __init__(self, model: Model, progress: Progress) -> None:
        self.model = model
        try:
            if isinstance(model.settings, TrainSettings):
                ready = _open_head(model, model.settings, progress)
            else:
                ready = _open_network(model, progress)
        except FileNotFoundError as exc:
            raise ModelError(
                f"The model in {model.folder} is incomplete: {exc.filename or exc} is missing. Delete the folder and "
                "start the run again that trained it."
            ) from exc
        self.batch_size, self.workers, self._batch = ready

    def predict_batch(self, pixels: Pixels) -> Floats:
        """Predict a batch.

        Args:
            pixels: uint8 [N, S, S, 3], RGB, 0 to 255, as the decode stage makes them; N at most `batch_size`.

        Returns:
            float32 [N, C], in the order of the model's labels; each row sums to 1.
        """
        return self._batch(pixels)

    def predict(self, pixels: Pixels) -> Floats:
        """Predict any number of photos.

        Args:
            pixels: uint8 [N, S, S, 3], RGB, 0 to 255, as the decode stage makes them.

        Returns:
            float32 [N, C], in the order of the model's labels; each row sums to 1.
        """
        batches = (pixels[start : start + self.batch_size] for start in range(0, len(pixels), self.batch_size))
        predicted = in_threads(self._batch, batches, self.workers)
        return np.concatenate([np.empty((0, len(self.model.labels)), np.float32), *predicted])


class _Ready(NamedTuple):
    """What a predictor needs of a model: see its attributes."""

    batch_size: int
    workers: int
    batch: Callable[[Pixels], Floats]


def _open_head(model: Model, settings: TrainSettings, progress: Progress) -> _Ready:
    head = load_head(model.folder)
    folder = DataRoot.above(model.folder).bottleneck(settings.bottleneck.key)
    forward = open_forward(settings.bottleneck, model.prepared.weights, folder, progress)
    views = Views(settings.predicting_views.stop)
    name = f"a photo, by {settings.backbone.name},"

    def batch(pixels: Pixels) -> Floats:
        # Without distortion no view is drawn, so that no photo's key is asked for.
        vectors = np.stack([forward(view) for view in views.of([], pixels)], axis=1)
        stored = to_stored(vectors, settings.bottleneck.dtype, [name] * len(vectors))
        return head.probabilities(stored.astype(np.float32, copy=False))

    return _Ready(forward.batch_size, forward.workers, batch)


def _open_network(model: Model, progress: Progress) -> _Ready:
    with progress.preparing("imports"):
        from tasks.train.network import BATCH_SIZE, read_network  # noqa: PLC0415 (imports TensorFlow, which heads can do without)

    with progress.preparing("network"):
        batch = read_network(model.folder, model.prepared).predictor()
    # One batch is on all cores; while it is, the next one is decoded.
    return _Ready(BATCH_SIZE, 2, batch)
