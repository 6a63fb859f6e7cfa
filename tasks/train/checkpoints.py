"""Checkpoints of a training: its whole state, from which it resumes after an interruption."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import tf
from tasks.storage.errors import DamagedError
from tasks.storage.files import storage_at

CHECKPOINTS_KEPT = 3
#: Checkpoints are named `<name>-<global step>`.
NAME = "head"
#: TensorFlow's list of the checkpoints in their folder.
LIST = "checkpoint"


@contextmanager
def checkpoints(state: tf.train.Checkpoint, folder: AnyPath | None) -> Iterator[Callable[[int], None]]:
    """Restore the newest checkpoint of a state from a folder, if there is one, and save further ones; None keeps none.

    From an object store, another machine can resume too.

    Yields:
        A function that saves a checkpoint of a global step, which outlives a power cut and, on an object store, this
        machine, and drops the oldest one. All of them are kept when the block ends.

    Raises:
        DamagedError: The newest checkpoint is damaged, or of another state.
    """
    if folder is None:
        yield lambda _: None
        return
    with storage_at(folder).mirrored(folder) as mirror:
        manager = tf.train.CheckpointManager(state, str(mirror.here), CHECKPOINTS_KEPT, checkpoint_name=NAME)
        if manager.latest_checkpoint:
            _restore(state, folder, Path(manager.latest_checkpoint))

        def save(step: int) -> None:
            mirror.settle()
            written = Path(manager.save(step))
            mirror.keep([*written.parent.glob(f"{written.name}.*"), written.parent / LIST])

        yield save


def _restore(state: tf.train.Checkpoint, folder: AnyPath, checkpoint: Path) -> None:
    try:
        state.restore(str(checkpoint)).assert_consumed()
    except (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError) as exc:
        raise DamagedError(
            folder,
            f"The checkpoint {folder / checkpoint.name} is damaged ({exc}). Delete the folder {folder}; "
            "the next run trains from the start.",
        ) from exc


def update_ema(averages: Sequence[tf.Variable], values: Sequence[tf.Variable], steps: tf.Tensor, decay: float) -> None:
    """Update exponential moving averages of variables by one step, in place.

    The decay grows with the steps, so that the start is soon forgotten: min(decay, (1 + steps) / (10 + steps)) of
    https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage.

    Args:
        averages: The averages, which are changed.
        values: The variables, in the same order.
        steps: Number of steps done: a scalar of any numeric type.
        decay: The decay after many steps.
    """
    steps = tf.cast(steps, tf.float32)
    keep = tf.minimum(decay, (1 + steps) / (10 + steps))
    for average, value in zip(averages, values, strict=True):
        average.assign(keep * average + (1 - keep) * value)
