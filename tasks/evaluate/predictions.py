"""The table of predictions: what the head says of every photo, one row each."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.artifacts import PREDICTIONS
from tasks.train.photos import Photos


def tabulate_predictions(photos: Photos, probabilities: npt.NDArray[np.float32]) -> pa.Table:
    """Lay predictions out as rows, sorted by sha256.

    Args:
        photos: N photos of C labels.
        probabilities: What the head says of them, float32 [N, C].

    Returns:
        A table of the columns of `PREDICTIONS`; a row's probabilities are in the order of the labels.
    """
    count, classes = probabilities.shape
    offsets = np.arange(0, count * classes + 1, classes, dtype=np.int32)
    names = np.array(photos.labels, dtype=object)
    columns = [
        photos.sha256,
        photos.paths,
        names[photos.truth],
        names[probabilities.argmax(axis=1)],
        pa.ListArray.from_arrays(offsets, probabilities.reshape(-1)),
        photos.splits.names,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PREDICTIONS, strict=True)]
    return pa.table(arrays, schema=PREDICTIONS)
