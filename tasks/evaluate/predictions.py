"""predictions.parquet: label, split and predicted probabilities of every photo; written and read here alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.paths import AnyPath
from tasks.shards.parquet import publish_parquet, read_parquet
from tasks.shards.schemas import PREDICTIONS, describe
from tasks.snapshot.splits import assign_splits
from tasks.storage.errors import DamagedError
from tasks.train.photos import LabelledPhotos

Probabilities = npt.NDArray[np.float32]

_FILE = "predictions.parquet"
#: The columns without the cross-validation, which evaluations of earlier versions lack.
OWN_COLUMNS = [name for name in PREDICTIONS.names if name != "cross_validated"]
#: Values that an Arrow list array holds at most: it counts them in 32 bits.
_MAX_VALUES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class PredictedPhotos:
    """Photos and their predicted probabilities."""

    photos: LabelledPhotos  #: N photos of C labels.
    probabilities: Probabilities  #: float32 [N, C], each row sums to 1.
    #: Probabilities by heads that were trained without the photo, float32 [N, C], those of the folds and, for photos in
    #: no fold, the head itself; None without a cross-validation.
    crossed: Probabilities | None = None

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Index of each photo's predicted label, int64 [N]."""
        predicted: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def mistakes(self) -> npt.NDArray[np.bool_]:
        """Whether each photo is in the test split and predicted wrongly: bool [N]."""
        mistakes: npt.NDArray[np.bool_] = self.photos.of("test") & (self.predicted != self.photos.truth)
        return mistakes


def tabulate_predictions(predicted: PredictedPhotos) -> pa.Table:
    """Return a table with the columns of `PREDICTIONS`; each row's probabilities are in the order of the labels."""
    photos, crossed = predicted.photos, predicted.crossed
    names = np.array(photos.labels, dtype=object)
    columns = {
        "sha256": photos.sha256,
        "path": photos.paths,
        "label": names[photos.truth],
        "predicted": names[predicted.predicted],
        "probabilities": _lists(predicted.probabilities),
        "split": photos.splits.names,
        "cross_validated": pa.nulls(len(photos.sha256)) if crossed is None else _in_folds(photos, crossed),
    }
    return pa.table(columns, PREDICTIONS)


def _in_folds(photos: LabelledPhotos, crossed: Probabilities) -> pa.ChunkedArray:
    """Return the probabilities of the photos in a fold, null for the others."""
    return pc.if_else(pa.array(photos.splits.in_folds), _lists(crossed), None)


def _lists(probabilities: Probabilities) -> pa.ChunkedArray:
    """Return one list a row, in as many chunks as Arrow needs."""
    classes = probabilities.shape[1]
    rows, lists = max(1, _MAX_VALUES // classes), []
    for start in range(0, len(probabilities), rows):
        chunk = probabilities[start : start + rows]
        offsets = np.arange(0, chunk.size + 1, classes, dtype=np.int32)
        lists.append(pa.ListArray.from_arrays(offsets, chunk.reshape(-1)))
    return pa.chunked_array(lists, PREDICTIONS.field("probabilities").type)


def publish_predictions(evaluation: AnyPath, predicted: PredictedPhotos, settings: Mapping[str, object]) -> None:
    """Publish the predictions of an evaluation in its folder; the file's metadata has the labels and `settings`."""
    table = tabulate_predictions(predicted)
    given = {"given_splits": True} if predicted.photos.splits.is_given else {}
    facts = {"labels": list(predicted.photos.labels), **given, **settings}
    publish_parquet(evaluation / _FILE, table.cast(describe(PREDICTIONS, "evaluate", evaluation.name, facts)))


def read_predictions(evaluation: AnyPath, columns: Sequence[str] | None = None) -> pa.Table:
    """Read columns of the predictions of an evaluation, in the order of `PREDICTIONS`; None reads all.

    Raises:
        DamagedError: The file is missing, damaged or of another version.
    """
    with predictions_intact(evaluation):
        table = read_parquet(evaluation / _FILE, columns)
        expected = PREDICTIONS if columns is None else pa.schema([PREDICTIONS.field(name) for name in columns])
        if not table.schema.equals(expected):
            raise ValueError("it has other columns")
    return table


def read_predicted_photos(evaluation: AnyPath) -> PredictedPhotos:
    """Read the photos of an evaluation with their probabilities, without those of the cross-validation.

    Raises:
        DamagedError: The file is missing, damaged or of another version.
    """
    table = read_predictions(evaluation, OWN_COLUMNS)
    with predictions_intact(evaluation):
        settings = json.loads(table.schema.metadata[b"settings"])
        labels = tuple(settings["labels"])
        probabilities = probability_matrix(table, len(labels))
        names, sha256 = table["label"], table["sha256"].to_pylist()
        given = table["split"].to_pylist() if settings.get("given_splits") else ()
        splits = assign_splits(sha256, names.to_pylist(), given)
        photos = LabelledPhotos(sha256, table["path"].to_pylist(), labels, label_indices(names, labels), splits)
    return PredictedPhotos(photos, probabilities)


def predictions_intact(evaluation: AnyPath) -> AbstractContextManager[None]:
    """Raise DamagedError, which names the file and the remedy, if the block cannot use the predictions."""
    return intact(evaluation / _FILE)


@contextmanager
def intact(path: AnyPath) -> Iterator[None]:
    """Raise DamagedError, which names a file of an evaluation and the remedy, if the block cannot use it."""
    try:
        yield
    except (pa.ArrowException, LookupError, OSError, TypeError, ValueError) as exc:
        raise DamagedError(path, f"{path} cannot be read ({exc}). Delete its folder and run again.") from exc


def probability_matrix(table: pa.Table, labels: int) -> Probabilities:
    """Return the probabilities of a table of predictions as float32 [N, C], given C.

    Raises:
        ValueError: Rows have other than C probabilities.
    """
    # Arrow does not combine chunks of more than 2**31 numbers.
    numbers = pc.list_flatten(table["probabilities"]).to_numpy()
    matrix: Probabilities = numbers.reshape(table.num_rows, labels)
    return matrix


def label_indices(names: pa.ChunkedArray, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the index of each name among the labels, int64 [N].

    Raises:
        ValueError: A name is none of the labels.
    """
    indices = pc.index_in(names, pa.array(labels, pa.string()))
    if indices.null_count:
        raise ValueError("a photo has an unknown label")
    return np.asarray(indices).astype(np.int64)
