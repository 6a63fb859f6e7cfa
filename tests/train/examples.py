"""Bottlenecks drawn for the tests of training."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from tasks.backbone.backbones import Backbone
from tasks.bottleneck.settings import BottleneckSettings
from tasks.train.examples import Examples, Floats
from tasks.train.settings import AdamRecipe, ClassicRecipe, TrainSettings
from tasks.train.vectors import ScratchVectors, Vectors, make_room

BOTTLENECK = BottleneckSettings(
    backbone=Backbone("drawn", "efficientnet_lite", "lite0", "0" * 64, size=8, width=6, scaling="inception"),
    encoding="png",
    precision="float32",
    views=2,
)

ADAM = AdamRecipe(l2=(0.01, 0.1), epochs=10, batch_size=64, learning_rate=0.01, averaging=0.99, class_weights=False)
CLASSIC = ClassicRecipe(steps=300, batch_size=20, learning_rate=0.01, averaging=0.99)


def settings(**changes: object) -> TrainSettings:
    """The settings of the recipe `adam` with some of them, or of the recipe's own, changed."""
    own = {field.name for field in fields(AdamRecipe)}
    recipe = replace(ADAM, **{name: value for name, value in changes.items() if name in own})  # type: ignore[arg-type]
    others = {name: value for name, value in changes.items() if name not in own}
    return replace(TrainSettings(BOTTLENECK, recipe, seed=0), **others)  # type: ignore[arg-type]  # each of its own type


def classic(**changes: object) -> TrainSettings:
    """The settings of the recipe `classic` with some of the recipe's changed."""
    return TrainSettings(BOTTLENECK, replace(CLASSIC, **changes), seed=0)  # type: ignore[arg-type]  # each of its type


def read(vectors: Vectors) -> Floats:
    """All vectors as an array: float32 [N, V, D]; a change of it changes those in memory."""
    return vectors[:]


def put_on_disk(examples: Examples, folder: Path) -> Examples:
    """Lay the same examples in a scratch file; `MOST_IN_MEMORY` has to be lowered for that."""
    photos, views, width = examples.vectors.shape
    vectors = make_room((photos, views, width), folder)
    assert isinstance(vectors, ScratchVectors)
    for view in range(views):
        vectors[np.arange(photos), np.full(photos, view)] = np.ascontiguousarray(read(examples.vectors)[:, view])
    return Examples(vectors, examples.labels)


def draw_examples(counts: tuple[int, ...], width: int = 6, apart: float = 1.0, seed: int = 0) -> Examples:
    """Draw photos of labels: the further `apart`, the easier they are told from each other.

    Args:
        counts: Photos of each label.
        width: Numbers of a bottleneck.
        apart: How much larger the label's own number is than all others.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(counts)), counts))
    vectors = random.exponential(1, (len(truth), 2, width))
    vectors[np.arange(len(truth)), :, truth] += apart
    return Examples(vectors.astype(np.float32), truth)
