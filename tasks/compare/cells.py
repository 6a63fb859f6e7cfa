"""Trains and tests one cell of a comparison."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.artifacts import DataRoot
from tasks.backbone.backbones import Prepared
from tasks.bottleneck.float_forward import FloatForward
from tasks.bottleneck.settings import BottleneckSettings
from tasks.bottleneck.views import Views
from tasks.compare.draw import draw_training
from tasks.compare.plan import network_recipe
from tasks.compare.settings import CellSettings
from tasks.paths import AnyPath
from tasks.progress import Progress, Silence
from tasks.quiet_tensorflow import keras
from tasks.train.examples import Examples, Floats, Watch
from tasks.train.fit import fit_head
from tasks.train.network_training import train_network
from tasks.train.photos import Photos
from tasks.train.pictures import Pictures, open_pictures
from tasks.train.settings import AdamRecipe, TrainSettings

#: The head's recipe is the default one, but for the choice of its weight decay: no way may look at validation photos.
HEAD_RECIPE = AdamRecipe(
    l2=(0.03,), epochs=40, batch_size=128, learning_rate=0.003, averaging=0.99, class_weights=False
)
HEAD_VIEWS = 2


@dataclass(frozen=True)
class CellResult:
    """What a cell came to.

    Args:
        photos: Training photos.
        correct: Test photos predicted rightly.
        test_photos: Test photos.
        seconds: Time of training: of a head, that of loading the backbone, of its bottlenecks and of the fit; of a
            network, that of building and training it.
        passes: Photos that went through the backbone; each view and each epoch counts.
        cut: Whether the time allowed fewer passes than planned.
    """

    photos: int
    correct: int
    test_photos: int
    seconds: float
    passes: int
    cut: bool


@dataclass(frozen=True, eq=False)
class _Material:
    """What a cell is made of: the backbone, the photos to train and to test on, and the labels in order."""

    prepared: Prepared
    training: Pictures
    testing: Pictures
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Trained:
    """Predictions of the test photos, float32 [N, C], and what it took to come to them."""

    probabilities: Floats
    seconds: float
    passes: int
    cut: bool = False


def train_cell(
    photos: Photos, settings: CellSettings, weights: AnyPath, root: DataRoot, progress: Progress
) -> CellResult:
    """Train one way on some training photos, and test it on the test split; no way sees the validation split.

    Args:
        photos: The snapshot's photos.
        settings: The cell.
        weights: Where the backbone's weights are.
        root: Where the decoded store is.
        progress: Told of the training.

    Raises:
        StoreError: The decoded store has lost pictures since, or a shard is damaged.
        BackboneError: The weights are missing, or are not those of the settings.
    """
    which = np.zeros(len(photos.sha256), bool)
    which[draw_training(photos, settings.photos_per_label, settings.seed)] = True
    test = photos.of("test")
    with (
        open_pictures(photos, which, settings.decode, root) as training,
        open_pictures(photos, test, settings.decode, root) as testing,
    ):
        material = _Material(Prepared(settings.backbone, weights), training, testing, photos.labels)
        train = _train_head if settings.way == "head" else _train_network
        trained = train(material, settings, progress)
    keras.utils.clear_session(free_memory=True)
    return CellResult(
        photos=int(which.sum()),
        correct=int((trained.probabilities.argmax(axis=1) == photos.truth[test]).sum()),
        test_photos=int(test.sum()),
        seconds=round(trained.seconds, 3),
        passes=trained.passes,
        cut=trained.cut,
    )


def _train_head(material: _Material, settings: CellSettings, progress: Progress) -> _Trained:
    started = time.monotonic()
    forward = FloatForward(material.prepared)
    examples = Examples(_embed(material.training, forward, progress), material.training.labels)
    bottleneck = BottleneckSettings(settings.backbone, settings.encoding, "float32", HEAD_VIEWS)
    recipe = TrainSettings(bottleneck, HEAD_RECIPE, settings.seed)
    # With one strength of weight decay there is nothing to choose, so any photos can stand in for the validation split.
    head, _ = fit_head(examples, examples, recipe, material.labels, Watch(progress))
    seconds = time.monotonic() - started
    probabilities = head.probabilities(_embed(material.testing, forward, Silence()))
    return _Trained(probabilities, seconds, len(material.training) * HEAD_VIEWS)


def _train_network(material: _Material, settings: CellSettings, progress: Progress) -> _Trained:
    started = time.monotonic()
    watch = Watch(_Counting(progress))
    network = train_network(material.prepared, material.training, material.labels, network_recipe(settings), watch)
    seconds = time.monotonic() - started
    passes, cut = network.facts["passes"], network.facts["cut"]
    return _Trained(network.probabilities(material.testing, Silence()), seconds, passes, cut)


def _embed(pictures: Pictures, forward: FloatForward, progress: Progress) -> Floats:
    """Compute bottlenecks: float32 [N, 2, D], in the order of the pictures."""
    progress.start(len(pictures), "photo")
    vectors: list[npt.NDArray[np.float32]] = []
    for pixels, _ in pictures.in_order(forward.batch_size):
        vectors.append(np.stack([forward(view) for view in Views(HEAD_VIEWS).of([], pixels)], axis=1))
        progress.advance(len(pixels))
    return np.concatenate(vectors)


class _Counting:
    """Progress without the lines that stay: of so many trainings, each tells its result alone."""

    def __init__(self, progress: Progress) -> None:
        self.start, self.advance, self.preparing = progress.start, progress.advance, progress.preparing

    def tell(self, line: str) -> None:
        """Do nothing."""
