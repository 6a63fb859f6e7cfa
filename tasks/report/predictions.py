"""What the evaluate stage left: every photo with its label, its split, and what the model says of it."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.paths import AnyPath
from tasks.shards.parquet import read_parquet
from tasks.shards.schemas import PREDICTIONS
from tasks.snapshot.splits import assign_splits
from tasks.storage.errors import DamagedError
from tasks.train.photos import LabelledPhotos


@dataclass(frozen=True, eq=False)
class Predicted:
    """Photos and what a model says of them.

    Args:
        photos: N photos of C labels.
        probabilities: float32 [N, C].
    """

    photos: LabelledPhotos
    probabilities: npt.NDArray[np.float32]

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """The place of each photo's predicted label, int64 [N]."""
        predictions: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predictions

    @property
    def mistaken(self) -> npt.NDArray[np.bool_]:
        """Which photos are of the test split and predicted wrongly: bool [N]."""
        wrong: npt.NDArray[np.bool_] = self.photos.of("test") & (self.predictions != self.photos.truth)
        return wrong


def read_predicted(evaluation: AnyPath) -> Predicted:
    """Read the predictions in the folder of an evaluation.

    Raises:
        DamagedError: They are gone, damaged, or of another version.
    """
    path = evaluation / "predictions.parquet"
    try:
        table = read_parquet(path)
        if not table.schema.equals(PREDICTIONS):
            raise ValueError("it has other columns")
        labels = tuple(json.loads(table.schema.metadata[b"settings"])["labels"])
        # Not combined by arrow, which counts the numbers of one array in 32 bits.
        numbers = pa.compute.list_flatten(table.column("probabilities"))
        probabilities = numbers.to_numpy().reshape(table.num_rows, len(labels))
        names = table.column("label")
        truth = np.asarray(pa.compute.index_in(names, pa.array(labels)).combine_chunks()).astype(np.int64)
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as exc:
        sentences = f"The predictions {path} cannot be read ({exc}). Delete their folder and run again."
        raise DamagedError(path, sentences) from exc
    sha256, paths = table.column("sha256").to_pylist(), table.column("path").to_pylist()
    return Predicted(
        LabelledPhotos(sha256, paths, labels, truth, assign_splits(sha256, names.to_pylist())), probabilities
    )
