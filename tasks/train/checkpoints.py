"""Checkpoints of a training: the whole of its state, from which it goes on after an interruption."""

from collections.abc import Sequence
from pathlib import Path

from tasks.artifacts import DamagedError, flush
from tasks.quiet_tensorflow import tf

CHECKPOINTS_KEPT = 3
#: A checkpoint is `<name>-<global step>`.
NAME = "head"


def restore(checkpoint: tf.train.Checkpoint, folder: Path | None) -> tf.train.CheckpointManager | None:
    """Go on from the newest checkpoint where there is one.

    Args:
        checkpoint: The state, overwritten by what is found.
        folder: Where checkpoints go; None keeps none.

    Returns:
        What saves further ones.

    Raises:
        DamagedError: The newest one is damaged, or of another state.
    """
    if folder is None:
        return None
    manager = tf.train.CheckpointManager(checkpoint, str(folder), CHECKPOINTS_KEPT, checkpoint_name=NAME)
    if manager.latest_checkpoint:
        try:
            checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        except (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError) as exc:
            raise DamagedError(
                folder,
                f"The checkpoint {manager.latest_checkpoint} is damaged ({exc}). Delete the folder {folder}; "
                "the next run trains from the start.",
            ) from exc
    return manager


def save(manager: tf.train.CheckpointManager, step: int) -> None:
    """Save a checkpoint that outlives a power cut, and drop the oldest one.

    Args:
        manager: What `restore` returned.
        step: The global step.
    """
    written = Path(manager.save(step))
    for path in (*written.parent.glob(f"{written.name}.*"), written.parent / "checkpoint", written.parent):
        flush(path)


def decay_after(steps: tf.Tensor, decay: float) -> tf.Tensor:
    """Decay of a moving average after some steps: it grows to its full value, so that the start is soon forgotten.

    Args:
        steps: Steps done, float32.
        decay: The full value.

    Returns:
        min(decay, (1 + steps) / (10 + steps)), as tf.train.ExponentialMovingAverage has it.
    """
    return tf.minimum(decay, (1 + steps) / (10 + steps))


def follow(averages: Sequence[tf.Variable], values: Sequence[tf.Variable], steps: tf.Tensor, decay: float) -> None:
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
