"""The recipe `adam`: several strengths of weight decay side by side, each a softmax layer of its own.

Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) with a rate that falls to zero as a cosine, and an exponential
moving average of the weights. All G heads see the same batches, so one step is one matrix product for all of them.
"""

import math

import numpy as np
import numpy.typing as npt

from tasks.quiet_tensorflow import keras, tf
from tasks.train.checkpoints import follow, restore
from tasks.train.examples import Choice, Floats, Lesson, Watch
from tasks.train.head import Head, Standardisation, standardisation, validate
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
        self.weights = tf.Variable(tf.zeros((width, count, labels)))
        self.biases = tf.Variable(tf.zeros((count, labels)))
        self.average_weights = tf.Variable(self.weights)
        self.average_biases = tf.Variable(self.biases)
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
        follow((self.average_weights, self.average_biases), variables, self.optimizer.iterations, self._decay)


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
    choices = tuple(validate(head, lesson.validation) for head in heads)
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
    manager = restore(heads.checkpoint, watch.checkpoints)
    rows = (
        tf.constant(standard(photos.vectors).reshape(-1, width)),
        tf.constant(np.repeat(photos.labels, views)),
        tf.constant(np.repeat(_shares(photos.labels, classes, recipe), views)),
    )
    watch.progress.start(epochs, "epoch")
    watch.progress.advance(int(heads.epoch))
    for epoch in range(int(heads.epoch), epochs):
        order = _order(count * views, recipe.batch_size, (seed, epoch))
        heads.run_epoch(*rows, tf.constant(order))
        heads.epoch.assign_add(1)
        if manager is not None and ((epoch + 1) % EPOCHS_PER_CHECKPOINT == 0 or epoch + 1 == epochs):
            manager.save(int(heads.optimizer.iterations))
        watch.progress.advance(1)
    return heads.average_weights.numpy(), heads.average_biases.numpy()


def _order(rows: int, batch_size: int, seed: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Draw an epoch's batches without replacement: int64 [steps, batch_size], the last one filled up with -1."""
    steps = math.ceil(rows / batch_size)
    order = np.full(steps * batch_size, -1, np.int64)
    order[:rows] = np.random.default_rng(seed).permutation(rows)
    return order.reshape(steps, batch_size)


def _shares(labels: npt.NDArray[np.int64], classes: int, recipe: AdamRecipe) -> Floats:
    """What each photo counts in the loss, float32 [N], 1 on average."""
    if not recipe.class_weights:
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=classes)
    shares: Floats = (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype(np.float32)
    return shares
