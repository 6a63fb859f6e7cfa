"""A graph run as TensorFlow 1 ran it: what the rewritten one is measured against."""

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tasks.runtime.tensorflow_import import tf


class Untouched:
    """A graph in a Session, as it is; to be used in a `with`."""

    def __init__(self, graph: tf.compat.v1.GraphDef) -> None:
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.import_graph_def(graph, name="")
        self._session = tf.compat.v1.Session(graph=self._graph)

    def __call__(self, fetched: str, fed: str, value: object) -> npt.NDArray[Any]:
        """Compute a tensor from the value of another."""
        return np.asarray(self._session.run(fetched, {fed: value}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session.close()
