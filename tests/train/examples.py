"""Bottlenecks drawn for the tests of training."""

from dataclasses import replace

import numpy as np

from tasks.bottleneck.settings import BottleneckSettings
from tasks.decode.settings import DecodeSettings
from tasks.train.fit import Examples
from tasks.train.settings import TrainSettings

BOTTLENECK = BottleneckSettings(
    backbone="drawn",
    weights_sha256="0" * 64,
    mean=127.0,
    scale=128.0,
    width=6,
    precision="float32",
    views=2,
    decode=DecodeSettings(size=8, resize=8, encoding="png"),
)

SETTINGS = TrainSettings(
    bottleneck=BOTTLENECK,
    l2=(0.01, 0.1),
    epochs=10,
    batch_size=64,
    learning_rate=0.01,
    averaging=0.99,
    class_weights=False,
    seed=0,
)


def settings(**changes: object) -> TrainSettings:
    """The settings with some of them changed."""
    return replace(SETTINGS, **changes)  # type: ignore[arg-type]  # each of its own type


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
