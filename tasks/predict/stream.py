"""Photos from outside -> rows of predictions, as a stream: what is in memory at once does not grow with their number.

Processes read and decode photos while threads take the pictures through the model, as in the stages before training.
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
from tasks.train.head import Floats

#: What the decode stage says of these has to do with its snapshot, and there is none here.
_MESSAGES = {
    Reason.VANISHED: "There is no such file. Check its path.",
    Reason.TOO_LARGE: f"It has more than {MAX_PIXELS:,} pixels, or needs too much memory. Store it smaller.",
    Reason.CHANGED: "The file was changed while it was read. Run again.",
}


def predict_photos(
    photos: Sequence[Photo], folder: AnyPath, predictor: Predictor, progress: Progress
) -> Iterator[pa.Table]:
    """Predict photos; one that cannot be read or decoded gets a row that says why.

    Args:
        photos: Which; their keys may be empty.
        folder: What their paths are relative to; those that name an object store are whole.
        predictor: The model.
        progress: Told of every photo.

    Yields:
        Tables of the columns of `PREDICTED`, of a few rows each; all together have a row a photo, in their order.
    """

    def judge(tried: Sequence[DecodeResult]) -> pa.Table:
        pictures = [(one.result, *one.others) for one in tried if isinstance(one.result, Picture)]
        # Of each way to decode the pictures of all photos.
        pixels = [np.stack([read_pixels(picture.image) for picture in same]) for same in zip(*pictures, strict=True)]
        probabilities = predictor.predict_batch(pixels) if pixels else np.empty((0, 0), np.float32)
        return tabulate(tried, probabilities, predictor.model.labels)

    progress.start(len(photos), "photo")
    with closing(_read(photos, folder, predictor.decodes)) as batches:
        for table in map_ordered(judge, _groups(batches, predictor.batch_size), predictor.workers):
            progress.advance(table.num_rows)
            yield table


def _read(
    photos: Sequence[Photo], folder: AnyPath, settings: Sequence[DecodeSettings]
) -> Generator[list[DecodeResult], None, None]:
    """Read and decode photos, in their order; runs of them that are named with their bucket, bucket by bucket."""
    work = partial(hash_and_decode, settings=settings)
    for prefix, run in groupby(photos, lambda photo: _bucket(photo.path)):
        place = to_path(prefix) if prefix else folder
        below = [photo._replace(path=photo.path.removeprefix(prefix)) for photo in run]
        with closing(work_on_photos(work, below, place, available_cores())) as batches:
            for batch in batches:
                yield [tried._replace(photo=tried.photo._replace(path=prefix + tried.photo.path)) for tried in batch]


def _bucket(path: str) -> str:
    """What the address of an object begins with; nothing where the path is no address."""
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/" if is_remote_text(path) else ""


def _groups(batches: Iterable[list[DecodeResult]], size: int) -> Iterator[list[DecodeResult]]:
    """Regroup what comes from the processes into what the model takes at once."""
    each = chain.from_iterable(batches)
    while group := list(islice(each, size)):
        yield group


def regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Join small tables into ones of at least so many rows, the last one smaller; none is empty."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if any(map(len, waiting)):
        yield pa.concat_tables(waiting)


def tabulate(tried: Sequence[DecodeResult], probabilities: Floats, labels: Sequence[str]) -> pa.Table:
    """Lay out what became of photos as rows.

    Args:
        tried: Photos with a picture or without.
        probabilities: What the model says of those with one, float32 [N, C].
        labels: The model's labels, C.

    Returns:
        A table of the columns of `PREDICTED`.
    """
    said = iter(probabilities)
    return pa.Table.from_pylist([_row(each, said, labels) for each in tried], PREDICTED)


def _row(tried: DecodeResult, said: Iterator[Floats], labels: Sequence[str]) -> dict[str, Any]:
    photo, result = tried.photo, tried.result
    # A name that is not UTF-8 holds lone surrogates, which Parquet has no bytes for.
    row = {"path": photo.path.encode(errors="backslashreplace").decode(), "sha256": photo.sha256 or None}
    if not isinstance(result, Picture):
        return {**row, "reason": str(result.reason), "message": _MESSAGES.get(result.reason, result.message)}
    own = next(said)
    best = int(own.argmax())
    return {**row, "predicted": labels[best], "probability": own[best], "probabilities": own}
