"""The recipe `adam`: several strengths of weight decay side by side, each a softmax layer of its own.

Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) with a rate that falls to zero as a cosine, and an exponential
moving average of the weights. All G heads see the same batches, so one step is one matrix product for all of them.
"""

import math

import numpy as np
import numpy.typing as npt

from tasks.quiet_tensorflow import keras, tf
from tasks.train.checkpoints import checkpoints, follow
from tasks.train.examples import Choice, Floats, Lesson, Watch
from tasks.train.feed import feed
from tasks.train.head import Head, Standardisation, standardisation, validate_all
from tasks.train.replicas import Replicas
from tasks.train.settings import AdamRecipe

#: Steps at least: a few hundred photos need more epochs than a few thousand to come as far.
LEAST_STEPS = 500
EPOCHS_PER_CHECKPOINT = 5


class _Heads:
    """G softmax layers side by side, with the state of their training; `checkpoint` holds all of it.

    `weights` is [D, G, C], `biases` [G, C]; `average_weights` and `average_biases` are their moving averages.
    """

    def __init__(self, width: int, labels: int, recipe: AdamRecipe, steps: int) -> None:
        count = len(recipe.l2)
        self._replicas = Replicas()
        with self._replicas.scope():
            self.weights, self.average_weights = (tf.Variable(tf.zeros((width, count, labels))) for _ in range(2))
            self.biases, self.average_biases = (tf.Variable(tf.zeros((count, labels))) for _ in range(2))
            self.optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps))
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
        self._l2 = tf.constant(recipe.l2, tf.float32)
        self._decay = recipe.averaging

    # Without AutoGraph, which does not cope with the syntax trees of Python 3.13.
    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's has no types
    def run(self, vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor, order: tf.Tensor) -> None:
        """Step through batches: `order`, int64 [steps, batch], names the rows of each; -1 fills up the last one."""

        def body(step: tf.Tensor) -> tf.Tensor:
            rows = tf.boolean_mask(order[step], order[step] >= 0)
            self._step(tf.gather(vectors, rows), tf.gather(labels, rows), tf.gather(shares, rows))
            return step + 1

        tf.while_loop(lambda step: step < tf.shape(order)[0], body, [tf.constant(0)])

    def _step(self, vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor) -> None:
        """One step down the mean cross-entropy plus l2 / 2 times the squared weights, for each head on its own."""
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        variables = [self.weights, self.biases]

        def slopes(vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = self._loss(size, vectors, labels, shares)
            found: list[tf.Tensor] = tape.gradient(loss, variables)
            return found

        rate = self.optimizer.learning_rate
        for slope, variable in zip(self._replicas.sum(slopes, vectors, labels, shares), variables, strict=True):
            # Not `apply_gradients`: it leaves behind a custom gradient for good, and with it this whole graph.
            self.optimizer.update_step(slope, variable, rate)
        self.optimizer.iterations.assign_add(1)
        follow((self.average_weights, self.average_biases), variables, self.optimizer.iterations, self._decay)

    def _loss(self, size: tf.Tensor, vectors: tf.Tensor, labels: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        """A replica's part of the loss of a batch of `size` rows, of which it has some: the parts add up to it."""
        width, count, classes = self.weights.shape
        scores = tf.reshape(vectors @ tf.reshape(self.weights, (width, count * classes)), (-1, count, classes))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.repeat(labels[:, None], count, axis=1), scores + self.biases
        )
        data = tf.reduce_sum(losses * shares[:, None], axis=0) / size
        decay = self._l2 / (2 * self._replicas.count) * tf.reduce_sum(self.weights**2, axis=(0, 2))
        # The heads share no weights, so the gradient of the sum is each head's own gradient.
        return tf.reduce_sum(data + decay)


def fit(lesson: Lesson, recipe: AdamRecipe, seed: int, watch: Watch) -> tuple[Head, tuple[Choice, ...]]:
    """Train heads, and choose the weight decay on the validation split by the log loss.

    Args:
        lesson: What to train on.
        recipe: How.
        seed: Of the order in which bottlenecks are drawn.
        watch: Who is told of every epoch, and where checkpoints go.

    Returns:
        The head with the smallest validation log loss, and how each strength did.

    Raises:
        StoreError: The checkpoint to go on from is damaged.
    """
    standard = standardisation(lesson.train.vectors)
    weights, biases = _fit(lesson, recipe, seed, watch, standard)
    heads = [
        Head(lesson.labels, weights[:, index], biases[index], standard, {"l2": l2})
        for index, l2 in enumerate(recipe.l2)
    ]
    choices = validate_all(heads, lesson.validation)
    best = min(range(len(heads)), key=lambda index: (choices[index].log_loss, index))
    return heads[best], choices


def _fit(
    lesson: Lesson, recipe: AdamRecipe, seed: int, watch: Watch, standard: Standardisation
) -> tuple[Floats, Floats]:
    """Fit all strengths; returns the averaged weights [D, G, C] and biases [G, C]."""
    photos, classes = lesson.train, len(lesson.labels)
    count, views, width = photos.vectors.shape
    steps_per_epoch = math.ceil(count * views / recipe.batch_size)
    epochs = max(recipe.epochs, math.ceil(LEAST_STEPS / steps_per_epoch))
    heads = _Heads(width, classes, recipe, epochs * steps_per_epoch)
    columns = np.repeat(photos.labels, views), np.repeat(_shares(photos.labels, classes, recipe), views)
    rows = feed(photos.vectors, columns, standard)
    with checkpoints(heads.checkpoint, watch.checkpoints) as save:
        watch.progress.start(epochs, "epoch")
        done = int(heads.epoch.numpy())
        watch.progress.advance(done)
        for epoch in range(done, epochs):
            for part in rows.epoch(recipe.batch_size, (seed, epoch)):
                heads.run(*part)
            heads.epoch.assign_add(1)
            if (epoch + 1) % EPOCHS_PER_CHECKPOINT == 0 or epoch + 1 == epochs:
                save(int(heads.optimizer.iterations.numpy()))
            watch.progress.advance(1)
    return heads.average_weights.numpy(), heads.average_biases.numpy()


def _shares(labels: npt.NDArray[np.int64], classes: int, recipe: AdamRecipe) -> Floats:
    """What each photo counts in the loss, float32 [N], 1 on average."""
    if not recipe.class_weights:
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=classes)
    shares: Floats = (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)
    return shares
