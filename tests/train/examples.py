"""Bottlenecks drawn for the tests of training."""

from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.quantisation import Numbers, quantise
from tasks.bottleneck.settings import BottleneckSettings, Distortion
from tasks.snapshot.splits import assign_splits
from tasks.train.features import Features, columns_of
from tasks.train.head import Head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import ClassicRecipe, FinetuneSettings, LdaRecipe, TrainSettings
from tasks.train.statistics import Statistics
from tests.bottleneck.pictures import key_of

#: A backbone whose bottleneck has six numbers of the last layer and four of an earlier one.
BACKBONE = Backbone(
    "drawn",
    "efficientnet_lite",
    "lite0",
    "0" * 64,
    size=8,
    layers=("bottleneck", "early"),
    widths=(6, 4),
    scaling="inception",
)
BOTTLENECK = BottleneckSettings(backbone=BACKBONE, encoding="png", precision="float32", views=2)
STRETCHED = replace(BOTTLENECK, backbone=replace(BACKBONE, crop="stretch"))
OTHER = replace(BOTTLENECK, backbone=replace(BACKBONE, name="other", weights_sha256="1" * 64))
#: Bottlenecks with three drawn views.
DISTORTED = replace(BOTTLENECK, distortion=Distortion(3, True, 10, 0, 0, seed=0))

LDA = LdaRecipe(shrinkage=(0.1, 1.0), layer_weights=(1.0, 0.0), class_weights=False)
FINETUNE = FinetuneSettings(BACKBONE, "png", epochs=1, batch_size=2, learning_rate=0.1, seed=0)
CLASSIC = ClassicRecipe(steps=300, batch_size=20, learning_rate=0.01, averaging=0.99)


def settings(**changes: object) -> TrainSettings:
    """The settings of the recipe `lda` with some of them, or of the recipe's own, changed."""
    own = {field.name for field in fields(LdaRecipe)}
    recipe = replace(LDA, **{name: value for name, value in changes.items() if name in own})  # type: ignore[arg-type]
    others = {name: value for name, value in changes.items() if name not in own}
    return replace(TrainSettings((BOTTLENECK,), recipe, seed=0), **others)  # type: ignore[arg-type]  # each of its own type


def classic(**changes: object) -> TrainSettings:
    """The settings of the recipe `classic` with some of the recipe's changed."""
    return TrainSettings((BOTTLENECK,), replace(CLASSIC, **changes), seed=0)  # type: ignore[arg-type]  # each of its type


class Drawn(NamedTuple):
    """Numbers of photos, uint8 [N, V, D], and their labels, int64 [N]."""

    numbers: Numbers
    labels: npt.NDArray[np.int64]


def draw_examples(counts: tuple[int, ...], width: int = 10, apart: float = 1.0, seed: int = 0) -> Drawn:
    """Draw photos of labels, some of each, in two views: the further `apart`, the easier they are told apart."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(counts)), counts))
    averages = random.exponential(0.5, (len(truth), 2, width))
    averages[np.arange(len(truth)), :, truth] += apart
    small = np.minimum(averages, 6).astype(np.float32)
    return Drawn(quantise(small, BOTTLENECK.quantisation, [f"{number}" for number in range(len(truth))]), truth)


def statistics_of(drawn: Drawn, labels: int) -> Statistics:
    statistics = Statistics.empty(labels, drawn.numbers.shape[-1])
    statistics.add(drawn.numbers, drawn.labels)
    return statistics


def assert_same_bits(one: Head | None, other: Head | None) -> None:
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.biases, other.biases)


class DrawnFeatures(Features):
    """Bottlenecks that are in no store, [N, V, D]."""

    def __init__(self, numbers: Numbers, settings: TrainSettings) -> None:
        self.settings, self.columns, self.shape = settings, columns_of(settings), numbers.shape
        self.complete = np.ones(len(numbers), bool)
        self.__dict__["_held"] = numbers


def photos_of(drawn: Drawn, labels: tuple[str, ...], how: TrainSettings | None = None) -> EmbeddedPhotos:
    """Make photos of bottlenecks: the photo of number n has the key of n and the path <label>/<n>.jpg."""
    numbers = sorted(range(len(drawn.labels)), key=key_of)
    truth = drawn.labels[numbers]
    keys, names = [key_of(number) for number in numbers], [labels[label] for label in truth]
    paths = [f"{name}/{number}.jpg" for name, number in zip(names, numbers, strict=True)]
    features = DrawnFeatures(drawn.numbers[numbers], how or settings())
    return EmbeddedPhotos(keys, paths, labels, truth, assign_splits(keys, names), features)
