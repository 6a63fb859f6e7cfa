"""Trains a whole network, from the pretrained weights of a backbone or from random ones.

Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980) on the cross-entropy of photos of which half are mirrored.

Batch-norms: fine-tuning leaves them as they were, with the means and variances of ImageNet, as Keras advises
(https://keras.io/guides/transfer_learning/#finetuning). From random weights they are trained, and their averages follow
faster than usual, so that a few hundred steps are enough for them.
"""

import math
from contextlib import closing

from tasks.backbone.backbones import Prepared
from tasks.backbone.layers import leaves
from tasks.errors import SettingError
from tasks.runtime.tensorflow_import import keras, tf
from tasks.train.checkpoints import checkpoints
from tasks.train.examples import TrainingContext
from tasks.train.network import Network, build_network
from tasks.train.pictures import Batch, Pictures
from tasks.train.replicas import Replicas
from tasks.train.schedule import NetworkRecipe, TimeBudget, rate_at

#: Of the averages of batch-norms, from random weights: Keras' 0.99 still holds much of the start after 200 steps.
BATCH_NORM_MOMENTUM = 0.9
#: A checkpoint is saved, and the loss told, after every pass, but not oftener or more seldom than after so many steps.
REPORT_STEPS = (25, 250)


def train_network(
    prepared: Prepared, pictures: Pictures, labels: tuple[str, ...], recipe: NetworkRecipe, watch: TrainingContext
) -> Network:
    """Train all weights of a network.

    Args:
        prepared: The backbone.
        pictures: The training photos.
        labels: The labels in order; C of them.
        recipe: How to train. Its time runs from the call on, in a training that goes on from a checkpoint anew.
        watch: Told of every photo, and now and then of the loss; names the folder of the checkpoints.

    Returns:
        The network. Its facts tell how many `steps` were made, how often a photo was shown to it as `passes`, and
        whether the time was too short for the epochs asked for as `cut`.

    Raises:
        SettingError: The backbone cannot be trained, or the loss is no number any more.
        BackboneError: The backbone's weights are not as they should be.
        StoreError: The checkpoint to go on from is damaged, or a picture is.
    """
    budget = TimeBudget(recipe.seconds)
    # Keras draws random weights from Python's global generator.
    keras.utils.set_random_seed(recipe.seed)
    replicas = Replicas()
    pretrained = recipe.start == "pretrained"
    with replicas.scope():
        model = build_network(prepared, len(labels), pretrained=pretrained)
        training = _Training(model, recipe, len(pictures), replicas)
    _descend(training, pictures, budget, watch)
    steps = training.done
    cut = steps < recipe.steps(len(pictures))
    facts = {"steps": steps, "passes": steps * recipe.batch_size, "cut": cut}
    keras.utils.clear_session(free_memory=True)
    return Network(model if replicas.count == 1 else _alone(model, prepared), labels, facts)


def _alone(model: "keras.Model", prepared: Prepared) -> "keras.Model":
    """The same network with weights of which there are no copies, which can be frozen and saved as any other."""
    alone = build_network(prepared, model.output_shape[-1], pretrained=False)
    alone.set_weights(model.get_weights())
    return alone


class _Training:
    """A network with the state of its training; `checkpoint` holds all of it.

    `steps` says how many there are to be in all; a budget can make them fewer.
    """

    def __init__(self, model: "keras.Model", recipe: NetworkRecipe, photos: int, replicas: Replicas) -> None:
        self.recipe, self.photos, self._replicas = recipe, photos, replicas
        self.optimizer = keras.optimizers.Adam(0.0)
        self.optimizer.build(model.trainable_variables)
        self.steps = tf.Variable(recipe.steps(photos), dtype=tf.int64)
        self.checkpoint = tf.train.Checkpoint(model=model, optimizer=self.optimizer, steps=self.steps)
        self._model, self._fresh = model, recipe.start == "random"
        if self._fresh:
            for layer in leaves(model):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = BATCH_NORM_MOMENTUM
        self._graph = tf.function(self._step, autograph=False)

    @property
    def done(self) -> int:
        """Steps that have been made."""
        return int(self.optimizer.iterations.numpy())

    @property
    def planned(self) -> int:
        """Steps that there are to be in all."""
        return int(self.steps.numpy())

    def step(self, batch: Batch) -> float:
        """Make a step; returns the loss before it."""
        rate = rate_at(self.done, self.planned, self.recipe.learning_rate)
        loss = float(self._graph(tf.constant(batch.pixels), tf.constant(batch.labels), tf.constant(rate)))
        if not math.isfinite(loss):
            raise SettingError(
                f"The training of the network has come apart: in step {self.done:,} its loss is {loss}. Give a smaller "
                f"--learning-rate than {self.recipe.learning_rate:g}."
            )
        return loss

    def _step(self, pixels: tf.Tensor, labels: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        variables = self._model.trainable_variables

        def slopes(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor | None]]:
            with tf.GradientTape() as tape:
                scores = self._model(tf.cast(pixels, tf.float32), training=self._fresh)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
                loss = tf.reduce_sum(losses) / size
            return loss, tape.gradient(loss, variables)

        loss, found = self._replicas.sum(slopes, pixels, labels)
        for slope, variable in zip(found, variables, strict=True):
            # A backbone may still have weights behind its bottleneck, such as its old classes.
            if slope is not None:
                # Not `apply_gradients`: it leaves behind a custom gradient for good, and with it this whole graph.
                self.optimizer.update_step(slope, variable, rate)
        self.optimizer.iterations.assign_add(1)
        return loss


def _descend(training: _Training, pictures: Pictures, budget: TimeBudget, watch: TrainingContext) -> None:
    """Make all steps that are still to be made."""
    batch_size, progress = training.recipe.batch_size, watch.progress
    shortest, longest = REPORT_STEPS
    every = min(max(math.ceil(training.photos / batch_size), shortest), longest)
    losses = []
    with (
        checkpoints(training.checkpoint, watch.checkpoints) as save,
        closing(pictures.shuffled(batch_size, training.recipe.seed, training.done)) as batches,
    ):
        _begin(training, watch)
        while training.done < training.planned:
            losses.append(training.step(next(batches)))
            progress.advance(batch_size)
            affordable = budget.affordable(training.done)
            if affordable is not None and affordable < training.planned:
                training.steps.assign(affordable)
                _begin(training, watch)
            if training.done % every == 0 or training.done == training.planned:
                progress.tell(f"After {training.done} training steps, loss = {sum(losses) / len(losses):.3g}")
                losses.clear()
                save(training.done)


def _begin(training: _Training, watch: TrainingContext) -> None:
    """Say how much there is to do, and how much of it is done."""
    watch.progress.start(training.planned * training.recipe.batch_size, "photo")
    watch.progress.advance(training.done * training.recipe.batch_size)
