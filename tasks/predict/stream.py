"""Predicts photos as a stream, in memory that does not grow with their number.

Processes read and decode photos while threads run the model on the pictures, as in the stages before training.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, groupby, islice
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.concurrency import map_ordered
from tasks.decode.images import MAX_PIXELS, Picture, read_pixels
from tasks.decode.photo_file import DecodeResult, Photo
from tasks.decode.rejections import Reason
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import work_on_photos
from tasks.hardware import available_cores
from tasks.paths import AnyPath, is_remote_text, to_path
from tasks.predict.hash_and_decode import hash_and_decode
from tasks.predict.predictor import Predictor
from tasks.progress import Progress
from tasks.shards.schemas import PREDICTED
from tasks.train.head import Floats, Predictions

NO_PREDICTIONS = Predictions(np.empty((0, 0), np.float32), None)
#: In place of the decode stage's messages, which mention the snapshot.
_MESSAGES = {
    Reason.VANISHED: "There is no such file. Check its path.",
    Reason.TOO_LARGE: f"It has more than {MAX_PIXELS:,} pixels, or needs too much memory. Store it smaller.",
    Reason.CHANGED: "The file was changed while it was read. Run again.",
}


def predict_photos(
    photos: Sequence[Photo], folder: AnyPath, predictor: Predictor, progress: Progress
) -> Iterator[pa.Table]:
    """Predict photos, whose keys may be empty; one that cannot be read or decoded gets a row with the reason.

    Their paths are relative to the folder, unless they are addresses of an object store.

    Yields:
        Tables of the columns of `PREDICTED`, of a few rows each: a row a photo, in their order.
    """

    def predict(results: Sequence[DecodeResult]) -> pa.Table:
        pictures = [(each.result, *each.others) for each in results if isinstance(each.result, Picture)]
        # One array for each way to decode.
        pixels = [np.stack([read_pixels(picture.image) for picture in same]) for same in zip(*pictures, strict=True)]
        predictions = predictor.predict_batch(pixels) if pixels else NO_PREDICTIONS
        return tabulate(results, predictions, predictor.model.labels, predictor.threshold)

    progress.start(len(photos), "photo")
    with closing(_read(photos, folder, predictor.decodes)) as batches:
        for table in map_ordered(predict, _groups(batches, predictor.batch_size), predictor.workers):
            progress.advance(table.num_rows)
            yield table


def _read(
    photos: Sequence[Photo], folder: AnyPath, settings: Sequence[DecodeSettings]
) -> Generator[list[DecodeResult], None, None]:
    """Read and decode photos in their order; consecutive photos of one bucket go to the processes together."""
    work = partial(hash_and_decode, settings=settings)
    for prefix, group in groupby(photos, lambda photo: _bucket(photo.path)):
        base = to_path(prefix) if prefix else folder
        relative = [photo._replace(path=photo.path.removeprefix(prefix)) for photo in group]
        with closing(work_on_photos(work, relative, base, available_cores())) as batches:
            for batch in batches:
                yield [each._replace(photo=each.photo._replace(path=prefix + each.photo.path)) for each in batch]


def _bucket(path: str) -> str:
    """Return the part of an object's address up to its bucket; empty for other paths."""
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/" if is_remote_text(path) else ""


def _groups(batches: Iterable[list[DecodeResult]], size: int) -> Iterator[list[DecodeResult]]:
    results = chain.from_iterable(batches)
    while group := list(islice(results, size)):
        yield group


def tabulate(
    results: Sequence[DecodeResult], predictions: Predictions, labels: Sequence[str], threshold: float | None = None
) -> pa.Table:
    """Make a table of the columns of `PREDICTED`.

    Args:
        results: The photos, N of them with a picture.
        predictions: Predictions of those with a picture, in their order.
        labels: The labels, C.
        threshold: Novelty above which a photo is unknown; None if the model has none.
    """
    probabilities, novelty = predictions
    by_photo = zip(probabilities, [None] * len(probabilities) if novelty is None else novelty.tolist(), strict=True)
    predicted = (_columns(*each, labels, threshold) for each in by_photo)
    return pa.Table.from_pylist([_row(each, predicted) for each in results], PREDICTED)


def _columns(
    probabilities: Floats, novelty: float | None, labels: Sequence[str], threshold: float | None
) -> dict[str, Any]:
    best = int(probabilities.argmax())
    known = {"predicted": labels[best], "probability": probabilities[best], "probabilities": probabilities}
    # Without a threshold, the novelty of a photo says nothing.
    if novelty is None or threshold is None:
        return known
    return {**known, "novelty": novelty, "unknown": novelty > threshold}


def _row(decoded: DecodeResult, predicted: Iterator[dict[str, Any]]) -> dict[str, Any]:
    photo, result = decoded.photo, decoded.result
    # A name that is not UTF-8 has lone surrogates, which Parquet cannot store.
    row = {"path": photo.path.encode(errors="backslashreplace").decode(), "sha256": photo.sha256 or None}
    if not isinstance(result, Picture):
        return {**row, "reason": str(result.reason), "message": _MESSAGES.get(result.reason, result.message)}
    return {**row, **next(predicted)}
