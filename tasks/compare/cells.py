"""Trains and tests one cell of a comparison."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.backbone.backbones import Prepared
from tasks.bottleneck.forward import Forward, open_forward
from tasks.bottleneck.quantisation import Numbers, quantise
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import draw_views
from tasks.compare.plan import network_recipe
from tasks.compare.sampling import sample_training
from tasks.compare.settings import CellSettings
from tasks.concurrency import map_ordered
from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.runtime.tensorflow_import import keras
from tasks.storage.layout import DataRoot
from tasks.storage.tempfiles import scratch_folder
from tasks.train.head import Floats
from tasks.train.lda_training import LdaTrainer
from tasks.train.network_training import train_network
from tasks.train.photos import LabelledPhotos
from tasks.train.pictures import Batch, Pictures, open_pictures
from tasks.train.settings import LdaRecipe, TrainSettings
from tasks.train.training_state import TrainingContext

HEAD_VIEWS = 2

_Trained = tuple[Floats, dict[str, Any]]


@dataclass(frozen=True)
class CellResult:
    """Result of a cell."""

    photos: int  #: Number of training photos.
    correct: int  #: Number of test photos that are predicted correctly.
    test_photos: int  #: Number of test photos.
    #: Time to load the backbone, to compute bottlenecks and to fit a head, or to build and train a network.
    seconds: float
    passes: int  #: Number of photos that went through the backbone; each view and each epoch counts.
    cut: bool  #: Whether the time allowed fewer passes than planned.


@dataclass(frozen=True, eq=False)
class _CellInputs:
    """The backbone, the photos to train and to test on, and the labels in order."""

    prepared: Prepared
    training: Pictures
    testing: Pictures
    labels: tuple[str, ...]


def train_cell(
    photos: LabelledPhotos, settings: CellSettings, weights: AnyPath, root: DataRoot, progress: Progress
) -> CellResult:
    """Train one way on some training photos, and test it on the test split; the validation split is not used.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
        BackboneError: The weights are missing, or are not those of the settings.
    """
    which = np.zeros(len(photos.sha256), bool)
    which[sample_training(photos, settings.photos_per_label, settings.seed)] = True
    test = photos.of("test")
    with (
        open_pictures(photos, which, settings.decode, root) as training,
        open_pictures(photos, test, settings.decode, root) as testing,
    ):
        inputs = _CellInputs(Prepared(settings.backbone, weights), training, testing, photos.labels)
        train = _train_head if settings.way == "head" else _train_network
        probabilities, cost = train(inputs, settings, progress)
    keras.utils.clear_session(free_memory=True)
    return CellResult(
        photos=int(which.sum()),
        correct=int((probabilities.argmax(axis=1) == photos.truth[test]).sum()),
        test_photos=int(test.sum()),
        **cost,
    )


def _train_head(inputs: _CellInputs, settings: CellSettings, progress: Progress) -> _Trained:
    """Return the test photos' probabilities, float32 [N, C], and the training's `seconds`, `passes` and `cut`."""
    started = time.monotonic()
    bottleneck = BottleneckSettings(settings.backbone, settings.encoding, "float32", HEAD_VIEWS)
    trainer = LdaTrainer.of(TrainSettings((bottleneck,), LdaRecipe(), settings.seed), inputs.labels)
    with scratch_folder("network") as folder:
        # A folder below: this one is locked already.
        forward = open_forward(bottleneck, inputs.prepared.weights, folder / "kept", progress)
    training = _embed(inputs.training, forward, bottleneck, progress)
    head, _ = trainer.search_on(training, inputs.training.labels)
    seconds = round(time.monotonic() - started, 3)
    testing = _embed(inputs.testing, forward, bottleneck, NullProgress())
    probabilities = head.probabilities(trainer.columns.values(testing, slice(None), rooted=True))
    return probabilities, {"seconds": seconds, "passes": len(inputs.training) * HEAD_VIEWS, "cut": False}


def _train_network(inputs: _CellInputs, settings: CellSettings, progress: Progress) -> _Trained:
    started = time.monotonic()
    context = TrainingContext(_NoLines(progress))
    prepared = replace(inputs.prepared, backbone=inputs.prepared.backbone.last_layer)
    network = train_network(prepared, inputs.training, inputs.labels, network_recipe(settings), context)
    cost = {
        "seconds": round(time.monotonic() - started, 3),
        **{name: network.facts[name] for name in ("passes", "cut")},
    }
    return network.probabilities(inputs.testing, NullProgress()), cost


def _embed(pictures: Pictures, forward: Forward, bottleneck: BottleneckSettings, progress: Progress) -> Numbers:
    """Compute bottlenecks in their stored form: whole numbers [N, 2, D], in the order of the pictures."""

    def embed(batch: Batch) -> Numbers:
        averages = np.stack([forward(view) for view in draw_views([], batch.pixels, HEAD_VIEWS)], axis=1)
        return quantise(averages, bottleneck.quantisation, ["a photo"] * len(averages))

    progress.start(len(pictures), "photo")
    numbers: list[Numbers] = []
    for embedded in map_ordered(embed, pictures.in_order(forward.batch_size), forward.workers):
        numbers.append(embedded)
        progress.advance(len(embedded))
    return np.concatenate(numbers)


class _NoLines:
    """Progress without lines that stay, since a comparison has many trainings."""

    def __init__(self, progress: Progress) -> None:
        self.start, self.advance, self.preparing = progress.start, progress.advance, progress.preparing

    def tell(self, line: str) -> None:
        """Do nothing."""
