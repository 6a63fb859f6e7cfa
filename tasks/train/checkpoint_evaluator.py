"""The running evaluator: beside a training, it measures each new checkpoint on the whole validation split.

By default it measures the moving averages of the weights. It only reads what the training publishes, so it can be
started and stopped at any time.
"""

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tasks.errors import SettingError, StoreError
from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import tf
from tasks.shards.manifests import read_manifest
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.checkpoints import LIST
from tasks.train.curve import CurvePoint, Weights, add_point
from tasks.train.head import Floats, Head
from tasks.train.photos import load_photos
from tasks.train.scores import Examples
from tasks.train.settings import ClassicRecipe, TrainSettings
from tasks.train.training_state import CHECKPOINTS, TrainingState, read_announced, state_of

#: Errors of TensorFlow on a checkpoint that vanishes, is cut short, or holds something else.
_UNREADABLE = (tf.errors.OpError, LookupError, RuntimeError, ValueError)
#: Suffix that tf.train.Checkpoint adds to the name of a variable.
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_VARIABLES = {"averages": ("average_weights", "average_biases"), "plain": ("weights", "biases")}


def watch_training(folder: AnyPath, weights: Weights, interval: float, tell: Callable[[str], None]) -> bool:
    """Measure each new checkpoint of a head until its training has ended.

    Args:
        folder: Folder of the head, where the training may not have begun yet.
        weights: The weights of a checkpoint that are measured.
        interval: Seconds between two looks; at least 2 at an object store.
        tell: Called with each line.

    Returns:
        Whether the training ended; False if it was interrupted.

    Raises:
        SettingError: The training writes no checkpoints of a head.
        StoreError: The training data are missing or damaged.
    """
    evaluator = CheckpointEvaluator(folder, weights, tell)
    while True:
        # Before the look: a training that has ended by now has written its last checkpoint.
        state = state_of(folder)
        evaluator.look()
        if state is TrainingState.ENDED:
            tell("Training has ended.")
            return True
        if state is TrainingState.INTERRUPTED:
            tell(f"The training in {folder} stopped before its end. Start it again: it goes on from its checkpoint.")
            return False
        time.sleep(max(interval, storage_at(folder).poll_seconds))


class _Validation(NamedTuple):
    """Validation split of a training."""

    settings: TrainSettings
    labels: tuple[str, ...]
    examples: Examples

    def measure(self, step: int, weights: Floats, biases: Floats) -> CurvePoint:
        """Measure weights, [D, C], and biases, [C]; arrays of other shapes raise a ValueError."""
        width, labels = self.examples.values.shape[-1], len(self.labels)
        head = Head(self.labels, weights.reshape(width, labels), biases.reshape(labels), rooted=False, facts={})
        return CurvePoint(step, *self.examples.score(head), len(self.examples.labels), dt.datetime.now(dt.UTC))


class CheckpointEvaluator:
    """Measures the newest checkpoint of the head in a folder, each one once, and calls `tell` with each line."""

    def __init__(self, folder: AnyPath, weights: Weights, tell: Callable[[str], None]) -> None:
        self._folder, self._weights, self._tell = folder, weights, tell
        self._validation: _Validation | None = None
        self._step = -1
        self._trouble = ""

    def look(self) -> bool:
        """Measure the newest checkpoint if it is a new one, and return whether there is one that can be read.

        Raises:
            SettingError: The training writes no checkpoints of a head.
            StoreError: The training data are missing or damaged.
        """
        self._validation = self._validation or _load_validation(self._folder)
        folder = self._folder / CHECKPOINTS
        checkpoint = _newest(folder)
        if self._validation is None or checkpoint is None:
            return self._fail(f"No checkpoint file found in {folder}")
        step = int(checkpoint.rpartition("-")[2])
        if step == self._step:
            return True
        try:
            point = self._validation.measure(step, *_read(folder, checkpoint, self._weights))
        except _UNREADABLE:
            return self._fail(f"The checkpoint {folder / checkpoint} has vanished or is damaged")
        add_point(point, self._folder, self._weights, self._validation.settings)
        self._tell(f"After {step} training steps, validation accuracy = {point.accuracy:.3g}")
        self._step, self._trouble = step, ""
        return True

    def _fail(self, trouble: str) -> bool:
        if trouble != self._trouble:
            self._tell(trouble)
        self._trouble = trouble
        return False


def _load_validation(folder: AnyPath) -> _Validation | None:
    training = read_announced(folder)
    if training is None:
        return None
    settings = training.settings
    if not isinstance(settings, TrainSettings):
        raise SettingError(
            f"{folder} holds a whole network, whose checkpoints `watch` cannot measure: it watches heads alone. "
            "Its own run tells how its training goes."
        )
    if not isinstance(settings.recipe, ClassicRecipe):
        raise SettingError(
            f"The head in {folder} is fitted in closed form, so there are no checkpoints to measure. Watch a training "
            "with --recipe classic."
        )
    root = DataRoot.above(folder)
    manifests = [manifest_path(root.bottleneck(each.key), training.snapshot) for each in settings.bottlenecks]
    try:
        photos = load_photos(training.snapshot, [read_manifest(path) for path in manifests], settings, root)
    except FileNotFoundError as exc:
        raise StoreError(f"The bottlenecks behind {folder} are gone: {exc.filename} is missing. Train again.") from exc
    return _Validation(settings, photos.labels, photos.examples(photos.of("validation")))


def _newest(folder: AnyPath) -> str | None:
    """Return the name of the newest checkpoint in the training's own list; its files may be gone by now."""
    try:
        with storage_at(folder).fetched_files(folder, LIST) as here:
            state = tf.train.get_checkpoint_state(str(here))
    except ValueError:  # an empty list
        return None
    name = Path(state.model_checkpoint_path).name if state is not None else ""
    return name if name.rpartition("-")[2].isdecimal() else None


def _read(folder: AnyPath, checkpoint: str, weights: Weights) -> tuple[Floats, ...]:
    with storage_at(folder).fetched_files(folder, f"{checkpoint}.*") as here:
        reader = tf.train.load_checkpoint(str(here / checkpoint))
        return tuple(np.asarray(reader.get_tensor(name + _VALUE)) for name in _VARIABLES[weights])
