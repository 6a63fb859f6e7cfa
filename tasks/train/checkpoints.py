"""Checkpoints of a training: the whole of its state, from which it goes on after an interruption."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.paths import AnyPath
from tasks.runtime.tensorflow_import import tf
from tasks.storage.errors import DamagedError
from tasks.storage.files import storage_at

CHECKPOINTS_KEPT = 3
#: A checkpoint is `<name>-<global step>`.
NAME = "head"
#: TensorFlow's list of the checkpoints in their folder.
LIST = "checkpoint"


@contextmanager
def checkpoints(state: tf.train.Checkpoint, folder: AnyPath | None) -> Iterator[Callable[[int], None]]:
    """Go on from the newest checkpoint where there is one, and save further ones.

    Args:
        state: The state, overwritten by what is found.
        folder: Where checkpoints go; None keeps none. On an object store another machine goes on from them too.

    Yields:
        What saves a checkpoint of the global step that it is given, one that outlives a power cut or this machine, and
        drops the oldest one. All of them are kept when the block ends.

    Raises:
        DamagedError: The newest one is damaged, or of another state.
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


def decay_after(steps: tf.Tensor, decay: float) -> tf.Tensor:
    """Decay of a moving average after some steps: it grows to its full value, so that the start is soon forgotten.

    Args:
        steps: Steps done, float32.
        decay: The full value.

    Returns:
        min(decay, (1 + steps) / (10 + steps)), as tf.train.ExponentialMovingAverage has it.
    """
    return tf.minimum(decay, (1 + steps) / (10 + steps))


def update_ema(averages: Sequence[tf.Variable], values: Sequence[tf.Variable], steps: tf.Tensor, decay: float) -> None:
    """Let moving averages follow their variables by one step, in place.

    Args:
        averages: The averages.
        values: Their variables, in the same order.
        steps: Steps done, of any type of number.
        decay: The decay that `decay_after` grows to.
    """
    keep = decay_after(tf.cast(steps, tf.float32), decay)
    for average, value in zip(averages, values, strict=True):
        average.assign(keep * average + (1 - keep) * value)
