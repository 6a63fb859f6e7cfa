"""The recipe `classic`: the training loop of retrain.py, one softmax layer by plain gradient descent.

What TensorFlow for Poets trained
(https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py): weights that begin as a truncated
normal of deviation 0.001, biases at zero, bottlenecks as they are, a fixed rate, and no weight decay. Each row of a
batch is drawn anew and put back: a label first, all of them alike, then a photo of that label, so that a rare label is
seen as often as a frequent one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.quantisation import Numbers
from tasks.runtime.tensorflow_import import tf
from tasks.train.checkpoints import checkpoints, update_ema
from tasks.train.examples import Examples, Floats, TrainingContext, mark
from tasks.train.features import read_values
from tasks.train.head import Head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.settings import ClassicRecipe

#: Steps between two validations, and between two checkpoints.
STEPS_PER_VALIDATION = 100
DEVIATION = 0.001
#: What is drawn from a seed: rows of the training photos at a step, and of the validation photos.
_TRAINING, _VALIDATION = 0, 1

Rows = npt.NDArray[np.int64]


class LabelledRows:
    """Rows that are drawn by their labels: the label first, each as often as any other, then a row of that label.

    Args:
        labels: The label of each row, int64 [N], N at least 1; labels that have no row are never drawn.
    """

    def __init__(self, labels: npt.NDArray[np.int64]) -> None:
        self._by_label = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        self._counts = counts[counts > 0]
        self._starts = np.cumsum(self._counts) - self._counts

    def draw(self, shape: int | tuple[int, int], seed: tuple[int, ...]) -> Rows:
        """Draw rows with replacement: int64 of this shape, the same ones for the same seed."""
        random = np.random.default_rng(seed)
        label = random.integers(len(self._counts), size=shape)
        drawn: Rows = self._by_label[self._starts[label] + random.integers(self._counts[label])]
        return drawn


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a classic head is trained on.

    Args:
        rows: uint8 or int16 [R, D], the numbers of a bottleneck each.
        steps: float32 [D]: what 1 is, of the signed square root of an average.
        labels: int64 [R], each a place in the list of labels.
        validation: Averages of the validation photos.
    """

    rows: Numbers
    steps: Floats
    labels: npt.NDArray[np.int64]
    validation: Examples


def training_data_of(
    photos: EmbeddedPhotos, train: npt.NDArray[np.bool_], validation: npt.NDArray[np.bool_]
) -> TrainingData:
    """Read what a head is trained on: the training and the validation photos, bool [N] each."""
    features = photos.features
    numbers = features.read(train, features.settings.training_views, features.columns.last)
    return TrainingData(
        rows=numbers.reshape(-1, numbers.shape[-1]),
        steps=features.columns.steps[features.columns.last],
        labels=np.repeat(photos.truth[train], numbers.shape[1]),
        validation=Examples(read_values(features, validation), photos.truth[validation]),
    )


class _Layer:
    """The softmax layer and the state of its training; `checkpoint` holds all of it.

    `weights` is [D, C], `biases` [C]; `average_weights` and `average_biases` are their moving averages.
    """

    def __init__(self, lesson: TrainingData, labels: int, recipe: ClassicRecipe, seed: int) -> None:
        # A seed of any length becomes the two numbers that TensorFlow takes.
        start = np.random.SeedSequence(seed).generate_state(2).astype(np.int64)
        drawn = tf.random.stateless_truncated_normal((len(lesson.steps), labels), start, stddev=DEVIATION)
        self.weights, self.average_weights = (tf.Variable(drawn) for _ in range(2))
        self.biases, self.average_biases = (tf.Variable(tf.zeros(labels)) for _ in range(2))
        self.step = tf.Variable(0, dtype=tf.int64)
        self.checkpoint = tf.train.Checkpoint(
            weights=self.weights,
            biases=self.biases,
            average_weights=self.average_weights,
            average_biases=self.average_biases,
            step=self.step,
        )
        self._recipe = recipe
        self._rows, self._labels, self._steps = (
            tf.constant(each) for each in (lesson.rows, lesson.labels, lesson.steps)
        )

    # Without AutoGraph, which does not cope with the syntax trees of Python 3.13.
    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's has no types
    def run(self, rows: tf.Tensor, labels: tf.Tensor, steps: tf.Tensor, draws: tf.Tensor) -> None:
        """Step through batches: `draws`, int64 [steps, batch], names the rows of each."""

        def body(step: tf.Tensor) -> tf.Tensor:
            roots = tf.cast(tf.gather(rows, draws[step]), tf.float32) * steps
            self._descend(roots * tf.abs(roots), tf.gather(labels, draws[step]))
            return step + 1

        tf.while_loop(lambda step: step < tf.shape(draws)[0], body, [tf.constant(0)])

    def step_through(self, draws: Rows) -> None:
        """Step through batches of the lesson's rows: int64 [steps, batch]."""
        self.run(self._rows, self._labels, self._steps, tf.constant(draws))

    def _descend(self, vectors: tf.Tensor, labels: tf.Tensor) -> None:
        """One step down the mean cross-entropy of a batch."""
        variables = [self.weights, self.biases]
        with tf.GradientTape() as tape:
            scores = vectors @ self.weights + self.biases
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        for variable, slope in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(self._recipe.learning_rate * slope)
        self.step.assign_add(1)
        update_ema((self.average_weights, self.average_biases), variables, self.step, self._recipe.averaging)

    def head(self, labels: tuple[str, ...]) -> Head:
        """The head as it is now: its weights and not their averages, as retrain.py predicts."""
        return Head(labels, self.weights.numpy(), self.biases.numpy(), rooted=False, facts={})


def fit(
    lesson: TrainingData, labels: tuple[str, ...], recipe: ClassicRecipe, seed: int, watch: TrainingContext
) -> Head:
    """Train a head for a fixed number of steps, and say every 100 steps how it does on some validation photos.

    The same arguments give the same head on the same machine.

    Args:
        lesson: What to train on; all of it is held in memory.
        labels: The labels in order; C of them.
        recipe: How.
        seed: Of the first weights and of what is drawn.
        watch: Who is told of every 100 steps, and where checkpoints go.

    Returns:
        The head after the last step.

    Raises:
        StoreError: The checkpoint to go on from is damaged.
    """
    layer = _Layer(lesson, len(labels), recipe, seed)
    rows, validation = LabelledRows(lesson.labels), LabelledRows(lesson.validation.labels)
    with checkpoints(layer.checkpoint, watch.checkpoints) as save:
        watch.progress.start(recipe.steps, "step")
        watch.progress.advance(int(layer.step.numpy()))
        for done in range(int(layer.step.numpy()), recipe.steps, STEPS_PER_VALIDATION):
            steps = min(STEPS_PER_VALIDATION, recipe.steps - done)
            layer.step_through(rows.draw((steps, recipe.batch_size), (seed, _TRAINING, done)))
            drawn = validation.draw(recipe.batch_size, (seed, _VALIDATION, done))
            predicted = layer.head(labels).probabilities(lesson.validation.values[drawn])
            accuracy = mark(predicted, lesson.validation.labels[drawn]).accuracy
            watch.progress.tell(
                f"Step {done + steps}: validation accuracy on {recipe.batch_size} random photos = {accuracy:.1%}"
            )
            save(int(layer.step.numpy()))
            watch.progress.advance(steps)
    return layer.head(labels)
