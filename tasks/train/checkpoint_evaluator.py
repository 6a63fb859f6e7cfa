"""The running evaluator: beside a training it measures each new checkpoint on the whole validation split.

By default it puts the moving averages in the place of the weights, as the evaluator of the book does whose recipe this
is. It only reads what the training publishes, so it can be started, stopped and started again at any time.
"""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.errors import SettingError, StoreError
from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import tf
from tasks.shards.manifests import read_manifest
from tasks.storage.files import storage_at
from tasks.storage.layout import DataRoot, manifest_path
from tasks.train.checkpoints import LIST
from tasks.train.curve import CurvePoint, Weights, add_point
from tasks.train.examples import Examples, Floats, mark
from tasks.train.features import read_values
from tasks.train.head import Head
from tasks.train.photos import load_photos
from tasks.train.settings import ClassicRecipe, TrainSettings
from tasks.train.training_state import CHECKPOINTS, TrainingState, read_announced, state_of

#: What TensorFlow raises on a checkpoint that vanishes, is cut short, or holds something else.
_UNREADABLE = (tf.errors.OpError, LookupError, RuntimeError, ValueError)
#: What tf.train.Checkpoint adds to the name of a variable.
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_VARIABLES = {"averages": ("average_weights", "average_biases"), "plain": ("weights", "biases")}


def watch_training(folder: AnyPath, weights: Weights, interval: float, tell: Callable[[str], None]) -> bool:
    """Measure each new checkpoint until the training has ended.

    Args:
        folder: The head's folder, where the training may not have begun yet.
        weights: Which of a checkpoint's weights to measure.
        interval: Seconds between two looks for a newer one; an object store is not looked at oftener than every 2 s.
        tell: Called with each line.

    Returns:
        Whether the training came to its end; False where it broke off.

    Raises:
        SettingError: It trains no head.
        StoreError: What it trains on is gone or damaged.
    """
    watcher = _Watcher(folder, weights, tell)
    while True:
        # Before the look: a training that has ended by now has written its last checkpoint.
        state = state_of(folder)
        watcher.look()
        if state is TrainingState.ENDED:
            tell("Training has ended.")
            return True
        if state is TrainingState.BROKEN_OFF:
            tell(f"The training in {folder} stopped before its end. Start it again: it goes on from its checkpoint.")
            return False
        time.sleep(max(interval, storage_at(folder).poll_seconds))


def look_once(folder: AnyPath, weights: Weights, tell: Callable[[str], None]) -> bool:
    """Measure the newest checkpoint.

    Args:
        folder: The head's folder.
        weights: Which of its weights to measure.
        tell: Called with the line that says how it did, or that there is none.

    Returns:
        Whether there is one that could be read.

    Raises:
        SettingError: The training trains no head.
        StoreError: What it trains on is gone or damaged.
    """
    return _Watcher(folder, weights, tell).look()


@dataclass(frozen=True, eq=False)
class _Examination:
    """What checkpoints are measured with.

    Args:
        settings: How the head is trained.
        labels: The labels in order; C of them.
        validation: The validation photos, with the views that predict.
    """

    settings: TrainSettings
    labels: tuple[str, ...]
    validation: Examples

    def measure(self, step: int, weights: Floats, biases: Floats) -> CurvePoint:
        """Measure a head: `weights` is [D, C], `biases` [C].

        Raises:
            ValueError: The arrays are of other shapes.
        """
        width, labels = self.validation.values.shape[-1], len(self.labels)
        head = Head(self.labels, weights.reshape(width, labels), biases.reshape(labels), rooted=False, facts={})
        found = mark(head.probabilities(self.validation.values), self.validation.labels)
        return CurvePoint(step, *found, len(self.validation.labels), dt.datetime.now(dt.UTC))


def _prepare(folder: AnyPath) -> _Examination | None:
    """Load what the checkpoints in a folder are measured with; None where no training has begun."""
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
    promised = [manifest_path(root.bottleneck(each.key), training.snapshot) for each in settings.bottlenecks]
    try:
        photos = load_photos(training.snapshot, [read_manifest(path) for path in promised], settings, root)
    except FileNotFoundError as exc:
        raise StoreError(f"The bottlenecks behind {folder} are gone: {exc.filename} is missing. Train again.") from exc
    which = photos.of("validation")
    validation = Examples(read_values(photos.features, which), photos.truth[which])
    return _Examination(settings, photos.labels, validation)


class _Watcher:
    """Looks for a new checkpoint, and remembers what it has told."""

    def __init__(self, folder: AnyPath, weights: Weights, tell: Callable[[str], None]) -> None:
        self._folder, self._weights, self._tell = folder, weights, tell
        self._examination: _Examination | None = None
        self._step = -1
        self._trouble = ""

    def look(self) -> bool:
        """Measure the newest checkpoint if it is a new one; whether there is one that could be read."""
        self._examination = self._examination or _prepare(self._folder)
        folder = self._folder / CHECKPOINTS
        checkpoint = _newest(folder)
        if self._examination is None or checkpoint is None:
            return self._fail(f"No checkpoint file found in {folder}")
        step = int(checkpoint.rpartition("-")[2])
        if step == self._step:
            return True
        try:
            point = self._examination.measure(step, *_read(folder, checkpoint, self._weights))
        except _UNREADABLE:
            return self._fail(f"The checkpoint {folder / checkpoint} has vanished or is damaged")
        add_point(point, self._folder, self._weights, self._examination.settings)
        self._tell(f"After {step} training steps, validation accuracy = {point.accuracy:.3g}")
        self._step, self._trouble = step, ""
        return True

    def _fail(self, trouble: str) -> bool:
        """Tell of a trouble, once as long as it lasts."""
        if trouble != self._trouble:
            self._tell(trouble)
        self._trouble = trouble
        return False


def _newest(folder: AnyPath) -> str | None:
    """The newest checkpoint, as the training's own list names it with its step; it may be gone by now."""
    try:
        with storage_at(folder).at_hand(folder, LIST) as here:
            state = tf.train.get_checkpoint_state(str(here))
    except ValueError:  # an empty list
        return None
    name = Path(state.model_checkpoint_path).name if state is not None else ""
    return name if name.rpartition("-")[2].isdecimal() else None


def _read(folder: AnyPath, checkpoint: str, weights: Weights) -> tuple[Floats, ...]:
    """Read a checkpoint's weights and biases."""
    with storage_at(folder).at_hand(folder, f"{checkpoint}.*") as here:
        reader = tf.train.load_checkpoint(str(here / checkpoint))
        return tuple(np.asarray(reader.get_tensor(name + _VALUE)) for name in _VARIABLES[weights])
