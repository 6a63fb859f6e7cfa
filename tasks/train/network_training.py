"""Trains a whole network, from the pretrained weights of a backbone or from random ones.

Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980) on the cross-entropy of photos, half of them mirrored.

Where this machine has several GPUs, CUDA_VISIBLE_DEVICES heeded, each takes its share of every batch, and their
gradients are summed (https://www.tensorflow.org/guide/distributed_training). The result is that of one device but for
rounding; only batch-norms that are trained measure each share by itself.

Batch-norms: fine-tuning keeps the means and variances of ImageNet, as Keras advises
(https://keras.io/guides/transfer_learning/#finetuning). From random weights they are trained, and their averages follow
faster than usual, so that a few hundred steps are enough for them.
"""

import math
from contextlib import closing
from typing import Any

from tasks.backbone.backbones import Prepared
from tasks.backbone.layers import leaves
from tasks.errors import SettingError
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.checkpoints import checkpoints
from tasks.train.network import Network, build_network
from tasks.train.pictures import Batch, Pictures
from tasks.train.schedule import NetworkRecipe, TimeBudget, rate_at
from tasks.train.training_state import TrainingContext

#: Momentum of batch-norms from random weights: Keras' 0.99 still holds much of the start after 200 steps.
BATCH_NORM_MOMENTUM = 0.9
#: Least and most steps between two checkpoints, which follow each pass otherwise.
CHECKPOINT_STEPS = (25, 250)
#: Kind of the devices of which several train together; tests replace it.
DEVICE = "GPU"


def train_network(
    prepared: Prepared, pictures: Pictures, labels: tuple[str, ...], recipe: NetworkRecipe, context: TrainingContext
) -> Network:
    """Train all weights of a network on pictures of C labels.

    The time of the recipe runs from this call on, also in a training that resumes from a checkpoint. The progress
    counts the photos and tells the loss.

    Returns:
        The network. Its facts are the number of `steps`, the number of photos that were shown to it as `passes`, and
        whether the time cut the steps as `cut`.

    Raises:
        SettingError: The backbone cannot be trained, or the loss is not finite.
        BackboneError: The backbone's weights are damaged, or not those of its settings.
        StoreError: The checkpoint to resume from is damaged, or a picture is.
    """
    budget = TimeBudget(recipe.seconds)
    # Keras draws random weights from Python's global generator.
    keras.utils.set_random_seed(recipe.seed)
    strategy = open_strategy()
    with strategy.scope():
        model = build_network(prepared, len(labels), pretrained=recipe.start == "pretrained")
        training = _Training(model, recipe, len(pictures), strategy)
    _descend(training, pictures, budget, context)
    steps = training.done
    facts = {"steps": steps, "passes": steps * recipe.batch_size, "cut": steps < recipe.steps(len(pictures))}
    keras.utils.clear_session(free_memory=True)
    if strategy.num_replicas_in_sync > 1:
        # Only weights without replicas can be frozen and saved.
        replicated, model = model, build_network(prepared, len(labels), pretrained=False)
        model.set_weights(replicated.get_weights())
    return Network(model, labels, facts)


def open_strategy() -> "tf.distribute.Strategy":
    """Return the strategy of all devices where there are several, else that of one device."""
    devices = [device.name for device in tf.config.list_logical_devices(DEVICE)]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


class _Training:
    """A network and the state of its training, all of which `checkpoint` holds.

    `steps` is the planned number of steps, which a time budget can reduce.
    """

    def __init__(
        self, model: "keras.Model", recipe: NetworkRecipe, photos: int, strategy: "tf.distribute.Strategy"
    ) -> None:
        self.recipe, self.photos, self._strategy = recipe, photos, strategy
        self.optimizer = keras.optimizers.Adam(0.0)
        self.optimizer.build(model.trainable_variables)
        self.steps = tf.Variable(recipe.steps(photos), dtype=tf.int64)
        self.checkpoint = tf.train.Checkpoint(model=model, optimizer=self.optimizer, steps=self.steps)
        self._model, self._train_norms = model, recipe.start == "random"
        if self._train_norms:
            for layer in leaves(model):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = BATCH_NORM_MOMENTUM
        self._graph = tf.function(self._step, autograph=False)

    @property
    def done(self) -> int:
        """Steps done."""
        return int(self.optimizer.iterations.numpy())

    @property
    def planned(self) -> int:
        """Planned number of all steps."""
        return int(self.steps.numpy())

    def step(self, batch: Batch) -> float:
        """Make a step, and return the loss before it."""
        rate = rate_at(self.done, self.planned, self.recipe.learning_rate)
        loss = float(self._graph(tf.constant(batch.pixels), tf.constant(batch.labels), tf.constant(rate)))
        if not math.isfinite(loss):
            raise SettingError(
                f"The training of the network has diverged: in step {self.done:,} its loss is {loss}. Give a smaller "
                f"--learning-rate than {self.recipe.learning_rate:g}."
            )
        return loss

    def _step(self, pixels: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        variables = self._model.trainable_variables

        def differentiate() -> tuple[tf.Tensor, list[tf.Tensor | None]]:
            """Return the loss and the gradients of this replica's share of the batch, which may have no rows."""
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            share = slice(replica, None, self._strategy.num_replicas_in_sync)
            with tf.GradientTape() as tape:
                scores = self._model(tf.cast(pixels[share], tf.float32), training=self._train_norms)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels[share], scores)
                loss = tf.reduce_sum(losses) / size
            return loss, tape.gradient(loss, variables)

        def total(value: Any) -> tf.Tensor | None:
            return None if value is None else self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)

        loss, gradients = tf.nest.map_structure(total, self._strategy.run(differentiate))
        for gradient, variable in zip(gradients, variables, strict=True):
            # A backbone may still have weights behind its bottleneck, such as its old classes.
            if gradient is not None:
                # Not `apply_gradients`: it leaves behind a custom gradient for good, and with it this whole graph.
                self.optimizer.update_step(gradient, variable, rate)
        self.optimizer.iterations.assign_add(1)
        return loss


def _descend(training: _Training, pictures: Pictures, budget: TimeBudget, context: TrainingContext) -> None:
    batch_size, progress = training.recipe.batch_size, context.progress
    least, most = CHECKPOINT_STEPS
    interval = min(max(math.ceil(training.photos / batch_size), least), most)
    losses = []

    def start() -> None:
        progress.start(training.planned * batch_size, "photo")
        progress.advance(training.done * batch_size)

    with (
        checkpoints(training.checkpoint, context.checkpoints) as save,
        closing(pictures.shuffled(batch_size, training.recipe.seed, training.done)) as batches,
    ):
        start()
        while training.done < training.planned:
            losses.append(training.step(next(batches)))
            progress.advance(batch_size)
            affordable = budget.affordable(training.done)
            if affordable is not None and affordable < training.planned:
                training.steps.assign(affordable)
                start()
            if training.done % interval == 0 or training.done == training.planned:
                progress.tell(f"After {training.done} training steps, loss = {sum(losses) / len(losses):.3g}")
                losses.clear()
                save(training.done)
