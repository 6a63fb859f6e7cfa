"""The table of predictions: what the head says of every photo, one row each."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.shards.schemas import PREDICTIONS
from tasks.train.photos import LabelledPhotos

#: Numbers that an arrow list array has at most.
_NUMBERS = 2**31 - 1


def tabulate_predictions(photos: LabelledPhotos, probabilities: npt.NDArray[np.float32]) -> pa.Table:
    """Lay predictions out as rows, sorted by sha256.

    Args:
        photos: N photos of C labels.
        probabilities: What the head says of them, float32 [N, C].

    Returns:
        A table of the columns of `PREDICTIONS`; a row's probabilities are in the order of the labels.
    """
    names = np.array(photos.labels, dtype=object)
    columns = [
        photos.sha256,
        photos.paths,
        names[photos.truth],
        names[probabilities.argmax(axis=1)],
        _lists(probabilities),
        photos.splits.names,
    ]
    arrays = [
        column if isinstance(column, pa.ChunkedArray) else pa.array(column, field.type)
        for column, field in zip(columns, PREDICTIONS, strict=True)
    ]
    return pa.table(arrays, schema=PREDICTIONS)


def _lists(probabilities: npt.NDArray[np.float32]) -> pa.ChunkedArray:
    """Each row as a list, in as many pieces as arrow needs, which counts the numbers of a piece in 32 bits."""
    classes = probabilities.shape[1]
    rows = max(1, _NUMBERS // classes)
    pieces = [probabilities[start : start + rows] for start in range(0, len(probabilities), rows)]
    lists = [
        pa.ListArray.from_arrays(np.arange(0, piece.size + 1, classes, dtype=np.int32), piece.reshape(-1))
        for piece in pieces
    ]
    return pa.chunked_array(lists, PREDICTIONS.field("probabilities").type)
