"""Copies of what is trained, one on each GPU: each takes its share of a batch, and their gradients are summed.

By `tf.distribute.MirroredStrategy` (https://www.tensorflow.org/guide/distributed_training) where this machine has
several GPUs, CUDA_VISIBLE_DEVICES heeded. A batch stays as large as was asked for, so the result is that of one device
but for rounding; only batch-norms that are trained measure each share by itself.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tasks.runtime.tensorflow_import import tf

#: The kind of device of which there may be several.
DEVICE = "GPU"


class Replicas:
    """The devices that a training computes on: all GPUs where there are several, else one device.

    Values that a training holds are read by their `numpy()`, which asks one of the copies.
    """

    def __init__(self) -> None:
        devices = [device.name for device in tf.config.list_logical_devices(DEVICE)]
        self._strategy = tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()
        self.count: int = self._strategy.num_replicas_in_sync

    def scope(self) -> AbstractContextManager[Any]:
        """Where variables are made of which each replica has a copy; what is assigned to one is assigned to all."""
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def sum(self, function: Callable[..., Any], *batch: tf.Tensor) -> Any:
        """Call a function on each replica; call this from a graph.

        Args:
            function: Takes a share of each of the batch's tensors; returns tensors, or None, in lists or alone. A share
                may have no rows.
            batch: Tensors of as many rows each.

        Returns:
            What the function returns, summed up over the replicas.
        """
        if self.count == 1:
            return function(*batch)

        def take() -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return function(*(rows[replica :: self.count] for rows in batch))

        return tf.nest.map_structure(self._sum, self._strategy.run(take))

    def _sum(self, value: Any) -> tf.Tensor | None:
        return None if value is None else self._strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
