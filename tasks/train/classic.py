"""The recipe `classic`: the training loop of retrain.py, one softmax layer by plain gradient descent.

TensorFlow for Poets trained it
(https://github.com/tensorflow/hub/blob/master/examples/image_retraining/retrain.py): weights from a truncated normal of
deviation 0.001, biases of zero, bottlenecks as they are, a constant learning rate, and no weight decay. The rows of a
batch are drawn with replacement: first a label, each as likely as any other, then a photo of that label, so that a rare
label is seen as often as a frequent one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.bottleneck.quantisation import Numbers
from tasks.runtime.tensorflow_import import tf
from tasks.train.checkpoints import checkpoints, update_ema
from tasks.train.head import Floats, Head
from tasks.train.photos import EmbeddedPhotos
from tasks.train.scores import Examples
from tasks.train.settings import ClassicRecipe
from tasks.train.training_state import TrainingContext

#: Steps between two validations, and between two checkpoints.
STEPS_PER_VALIDATION = 100
DEVIATION = 0.001
#: Parts of the seeds of training and validation batches.
_TRAINING, _VALIDATION = 0, 1

Indices = npt.NDArray[np.int64]


class BalancedSampler:
    """Draws rows with replacement: first a label, each as likely as any other, then a row of that label.

    The labels of the rows are int64 [N], N at least 1; labels without rows are never drawn.
    """

    def __init__(self, labels: npt.NDArray[np.int64]) -> None:
        self._by_label = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        self._counts = counts[counts > 0]
        self._starts = np.cumsum(self._counts) - self._counts

    def draw(self, shape: int | tuple[int, int], seed: tuple[int, ...]) -> Indices:
        """Draw indices of rows: int64 of this shape, the same for the same seed."""
        random = np.random.default_rng(seed)
        label = random.integers(len(self._counts), size=shape)
        drawn: Indices = self._by_label[self._starts[label] + random.integers(self._counts[label])]
        return drawn


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training and validation data of a classic head."""

    rows: Numbers  #: uint8 or int16 [R, D], the numbers of a bottleneck each.
    steps: Floats  #: float32 [D]: signed square root of an average that the number 1 stands for.
    labels: npt.NDArray[np.int64]  #: int64 [R], indices into the list of labels.
    validation: Examples  #: Averages of the validation photos.


def read_training_data(
    photos: EmbeddedPhotos, train: npt.NDArray[np.bool_], validation: npt.NDArray[np.bool_]
) -> TrainingData:
    """Read the training data, given the masks of the training and of the validation photos, bool [N] each."""
    features = photos.features
    numbers = features.read(train, features.settings.training_views, features.columns.last)
    return TrainingData(
        rows=numbers.reshape(-1, numbers.shape[-1]),
        steps=features.columns.steps[features.columns.last],
        labels=np.repeat(photos.truth[train], numbers.shape[1]),
        validation=photos.examples(validation),
    )


class _Layer:
    """The softmax layer and the state of its training, all of which `checkpoint` holds.

    `weights` is [D, C], `biases` [C]; `average_weights` and `average_biases` are their moving averages.
    """

    def __init__(self, data: TrainingData, labels: int, recipe: ClassicRecipe, seed: int) -> None:
        # TensorFlow takes a seed of two numbers.
        start = np.random.SeedSequence(seed).generate_state(2).astype(np.int64)
        drawn = tf.random.stateless_truncated_normal((len(data.steps), labels), start, stddev=DEVIATION)
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
        self._rows, self._labels, self._steps = (tf.constant(each) for each in (data.rows, data.labels, data.steps))

    # Without AutoGraph, which does not cope with the syntax trees of Python 3.13.
    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow's has no types
    def train(self, batches: tf.Tensor) -> None:
        """Make a step with each batch: indices of its rows, int64 [steps, batch]."""

        def body(step: tf.Tensor) -> tf.Tensor:
            roots = tf.cast(tf.gather(self._rows, batches[step]), tf.float32) * self._steps
            self._descend(roots * tf.abs(roots), tf.gather(self._labels, batches[step]))
            return step + 1

        tf.while_loop(lambda step: step < tf.shape(batches)[0], body, [tf.constant(0)])

    def _descend(self, averages: tf.Tensor, labels: tf.Tensor) -> None:
        variables = [self.weights, self.biases]
        with tf.GradientTape() as tape:
            scores = averages @ self.weights + self.biases
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(self._recipe.learning_rate * gradient)
        self.step.assign_add(1)
        update_ema((self.average_weights, self.average_biases), variables, self.step, self._recipe.averaging)

    def head(self, labels: tuple[str, ...]) -> Head:
        """Return the head with the weights of the last step, not their averages, as retrain.py predicts."""
        return Head(labels, self.weights.numpy(), self.biases.numpy(), rooted=False, facts={})


def fit(
    data: TrainingData, labels: tuple[str, ...], recipe: ClassicRecipe, seed: int, context: TrainingContext
) -> Head:
    """Train a head for a fixed number of steps; every 100 steps, report its accuracy on some validation photos.

    The same arguments give the same head on the same machine.

    Args:
        data: Training and validation data, held in memory.
        labels: The labels in the order of their indices.
        recipe: The recipe.
        seed: Seed of the first weights and of the batches.
        context: Progress, and the folder of the checkpoints.

    Raises:
        StoreError: The checkpoint to resume from is damaged.
    """
    layer, progress = _Layer(data, len(labels), recipe, seed), context.progress
    rows, validation = BalancedSampler(data.labels), BalancedSampler(data.validation.labels)
    with checkpoints(layer.checkpoint, context.checkpoints) as save:
        done = int(layer.step.numpy())
        progress.start(recipe.steps, "step")
        progress.advance(done)
        while done < recipe.steps:
            steps = min(STEPS_PER_VALIDATION, recipe.steps - done)
            layer.train(tf.constant(rows.draw((steps, recipe.batch_size), (seed, _TRAINING, done))))
            drawn = validation.draw(recipe.batch_size, (seed, _VALIDATION, done))
            batch = Examples(data.validation.values[drawn], data.validation.labels[drawn])
            done += steps
            progress.tell(
                f"Step {done}: validation accuracy on {recipe.batch_size} random photos = "
                f"{batch.score(layer.head(labels)).accuracy:.1%}"
            )
            save(done)
            progress.advance(steps)
    return layer.head(labels)
