"""Fits heads: several strengths of weight decay side by side, each a softmax layer of its own.

Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) with a rate that falls to zero as a cosine, and an exponential
moving average of the weights. All G heads see the same batches, so one step is one matrix product for all of them.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import StoreError
from tasks.progress import Progress
from tasks.quiet_tensorflow import keras, tf
from tasks.train.head import Floats, Head, standardisation
from tasks.train.settings import TrainSettings

#: Steps at least: a few hundred photos need more epochs than a few thousand to come as far.
LEAST_STEPS = 500
EPOCHS_PER_CHECKPOINT = 5
CHECKPOINTS_KEPT = 3


@dataclass(frozen=True)
class Examples:
    """Bottlenecks of photos and what they show.

    Args:
        vectors: float32 [N, V, D].
        labels: int64 [N], each a place in the list of labels.
    """

    vectors: Floats
    labels: npt.NDArray[np.int64]

    def take(self, which: npt.NDArray[np.bool_]) -> "Examples":
        """Those photos for which `which`, bool [N], is true."""
        return Examples(self.vectors[which], self.labels[which])


@dataclass(frozen=True)
class Choice:
    """How one strength of weight decay did on the validation split.

    Args:
        l2: The strength.
        accuracy: Share of validation photos that are right.
        log_loss: Mean negative log of the probability given to the right label.
    """

    l2: float
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class Watch:
    """Who looks on while a head is trained.

    Args:
        progress: Told of every epoch.
        checkpoints: Folder of the checkpoints, from which an interrupted training goes on; None writes none.
    """

    progress: Progress
    checkpoints: Path | None = None


class _Heads:
    """G softmax layers side by side, with the state of their training; `checkpoint` holds all of it.

    `weights` is [D, G, C], `biases` [G, C]; `average_weights` and `average_biases` are their moving averages.
    """

    def __init__(self, width: int, labels: int, settings: TrainSettings, steps: int) -> None:
        count = len(settings.l2)
        self.weights = tf.Variable(tf.zeros((width, count, labels)))
        self.biases = tf.Variable(tf.zeros((count, labels)))
        self.average_weights = tf.Variable(self.weights)
        self.average_biases = tf.Variable(self.biases)
        self.optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps))
        self.optimizer.build([self.weights, self.biases])
        self.epoch = tf.Variable(0, dtype=tf.int64)
        self.checkpoint = tf.train.Checkpoint(
            weights=self.weights,
            biases=self.biases,
            average_weights=self.average_weights,
            average_biases=self.average_biases,
            optimizer=self.optimizer,
            epoch=self.epoch,
        )
        self._l2 = tf.constant(settings.l2, tf.float32)
        self._decay = settings.averaging

    # Without AutoGraph, which does not cope with the syntax trees of Python 3.13.
    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's has no types
    def run_epoch(self, vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor, order: tf.Tensor) -> None:
        """Step through batches: `order`, int64 [steps, batch], names the rows of each; -1 fills up the last one."""

        def body(step: tf.Tensor) -> tf.Tensor:
            rows = tf.boolean_mask(order[step], order[step] >= 0)
            self._step(tf.gather(vectors, rows), tf.gather(labels, rows), tf.gather(shares, rows))
            return step + 1

        tf.while_loop(lambda step: step < tf.shape(order)[0], body, [tf.constant(0)])

    def _step(self, vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor) -> None:
        """One step down the mean cross-entropy plus l2 / 2 times the squared weights, for each head on its own."""
        width, count, classes = self.weights.shape
        with tf.GradientTape() as tape:
            scores = tf.reshape(vectors @ tf.reshape(self.weights, (width, count * classes)), (-1, count, classes))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.repeat(labels[:, None], count, axis=1), scores + self.biases
            )
            data = tf.reduce_mean(losses * shares[:, None], axis=0)
            decay = self._l2 / 2 * tf.reduce_sum(self.weights**2, axis=(0, 2))
            # The heads share no weights, so the gradient of the sum is each head's own gradient.
            loss = tf.reduce_sum(data + decay)
        variables = [self.weights, self.biases]
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        # The decay grows to its full value over the first steps, as tf.train.ExponentialMovingAverage has it, so that
        # the start from zero is soon forgotten.
        done = tf.cast(self.optimizer.iterations, tf.float32)
        keep = tf.minimum(self._decay, (1 + done) / (10 + done))
        for average, value in ((self.average_weights, self.weights), (self.average_biases, self.biases)):
            average.assign(keep * average + (1 - keep) * value)


def fit_head(
    train: Examples, validation: Examples, settings: TrainSettings, labels: tuple[str, ...], watch: Watch
) -> tuple[Head, tuple[Choice, ...]]:
    """Train a head, and choose its weight decay on the validation split by the log loss.

    The same arguments give the same head on the same machine.

    Args:
        train: The training photos.
        validation: The validation photos.
        settings: How to train.
        labels: The labels in order; C of them.
        watch: Who is told, and where checkpoints go.

    Returns:
        The head with the smallest validation log loss, and how each strength did.

    Raises:
        StoreError: The checkpoint to go on from is damaged.
    """
    standard = standardisation(train.vectors)
    weights, biases = _fit(standard(train.vectors), train, settings, len(labels), watch)
    heads = [
        Head(labels, weights[:, index], biases[index], standard, {"l2": l2}) for index, l2 in enumerate(settings.l2)
    ]
    choices = tuple(_try(head, validation) for head in heads)
    best = min(range(len(heads)), key=lambda index: (choices[index].log_loss, index))
    return heads[best], choices


def _try(head: Head, validation: Examples) -> Choice:
    probabilities = head.probabilities(validation.vectors)
    right = probabilities[np.arange(len(probabilities)), validation.labels]
    return Choice(
        l2=head.facts["l2"],
        accuracy=float((probabilities.argmax(axis=1) == validation.labels).mean()),
        log_loss=float(-np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean()),
    )


def _fit(
    vectors: Floats, photos: Examples, settings: TrainSettings, classes: int, watch: Watch
) -> tuple[Floats, Floats]:
    """Fit all strengths; returns the averaged weights [D, G, C] and biases [G, C]."""
    count, views, width = vectors.shape
    steps_per_epoch = math.ceil(count * views / settings.batch_size)
    epochs = max(settings.epochs, math.ceil(LEAST_STEPS / steps_per_epoch))
    heads = _Heads(width, classes, settings, epochs * steps_per_epoch)
    manager = _restore(heads, watch.checkpoints)
    rows = (
        tf.constant(vectors.reshape(-1, width)),
        tf.constant(np.repeat(photos.labels, views)),
        tf.constant(np.repeat(_shares(photos.labels, classes, settings), views)),
    )
    watch.progress.start(epochs, "epoch")
    watch.progress.advance(int(heads.epoch))
    for epoch in range(int(heads.epoch), epochs):
        order = _order(count * views, settings, epoch)
        heads.run_epoch(*rows, tf.constant(order))
        heads.epoch.assign_add(1)
        if manager is not None and ((epoch + 1) % EPOCHS_PER_CHECKPOINT == 0 or epoch + 1 == epochs):
            manager.save(int(heads.optimizer.iterations))
        watch.progress.advance(1)
    return heads.average_weights.numpy(), heads.average_biases.numpy()


def _order(rows: int, settings: TrainSettings, epoch: int) -> npt.NDArray[np.int64]:
    """Draw an epoch's batches without replacement: int64 [steps, batch_size], the last one filled up with -1."""
    steps = math.ceil(rows / settings.batch_size)
    order = np.full(steps * settings.batch_size, -1, np.int64)
    order[:rows] = np.random.default_rng((settings.seed, epoch)).permutation(rows)
    return order.reshape(steps, settings.batch_size)


def _shares(labels: npt.NDArray[np.int64], classes: int, settings: TrainSettings) -> Floats:
    """What each photo counts in the loss, float32 [N], 1 on average."""
    if not settings.class_weights:
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=classes)
    shares: Floats = (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)
    return shares


def _restore(heads: _Heads, folder: Path | None) -> tf.train.CheckpointManager | None:
    """Go on from the newest checkpoint where there is one.

    Raises:
        StoreError: It is damaged, or of other heads.
    """
    if folder is None:
        return None
    manager = tf.train.CheckpointManager(heads.checkpoint, str(folder), CHECKPOINTS_KEPT, checkpoint_name="head")
    if manager.latest_checkpoint:
        try:
            heads.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        except (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError) as exc:
            raise StoreError(
                f"The checkpoint {manager.latest_checkpoint} is damaged ({exc}). Delete the folder {folder}; "
                "the next run trains from the start."
            ) from exc
    return manager
