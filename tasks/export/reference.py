"""What the pipeline itself says in another precision than a model was trained in: all that this precision changes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from tasks.bottleneck.int8 import quantise_network
from tasks.bottleneck.precision import Precision
from tasks.concurrency import map_ordered
from tasks.decode.images import read_pixels
from tasks.export.classifier import open_classifier
from tasks.export.runners import run_lite
from tasks.predict.models import Model
from tasks.predict.predictor import Predictor
from tasks.progress import NullProgress, Progress
from tasks.train.head import Floats, softmax
from tasks.train.settings import FinetuneSettings, TrainSettings


def predict_in(precision: str, model: Model, pictures: Sequence[bytes], progress: Progress) -> Floats:
    """Predict encoded pictures, N of them and one at least, by the pipeline in another precision: float32 [N, C].

    Args:
        precision: The precision; of a fine-tuned network, which the pipeline computes in float32, int8.
        model: The model.
        pictures: The pictures.
        progress: Told what is being prepared.
    """
    if not isinstance(model.settings, TrainSettings):
        return _predict_in_int8(model, model.settings, pictures)
    own = tuple(replace(each, precision=cast("Precision", precision)) for each in model.settings.bottlenecks)
    predictor = Predictor(replace(model, settings=replace(model.settings, bottlenecks=own)), progress)
    batches = (
        pictures[start : start + predictor.batch_size] for start in range(0, len(pictures), predictor.batch_size)
    )
    predicted = map_ordered(lambda batch: predictor.predict_batch([_pixels(batch)]), batches, predictor.workers)
    return np.concatenate(list(predicted))


def _predict_in_int8(model: Model, settings: FinetuneSettings, pictures: Sequence[bytes]) -> Floats:
    network = open_classifier(model).network
    int8 = quantise_network(network, settings.decode, settings.backbone.name)
    return softmax(run_lite(int8, pictures, NullProgress()))


def _pixels(pictures: Sequence[bytes]) -> "np.typing.NDArray[np.uint8]":
    return np.stack([read_pixels(picture) for picture in pictures])
