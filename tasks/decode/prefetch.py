"""Fetches photos from an object store or from Parquet files ahead of the processes that decode them.

A process handles one photo at a time and would wait for the network at each. So threads of the parent fetch many photos
at once into a scratch folder, from which the processes read. Each photo is fetched by one request, even if a process
crashes over it. Rows of Parquet files are read by one thread, in their order: a process that read one would unpack its
whole row group.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tasks.decode.photo_file import LARGE_FILE, MAX_BYTES, DecodeResult, Photo
from tasks.decode.rejections import CHANGED, unread
from tasks.snapshot.parquet.row_reader import PhotoReader

RunBatch = Callable[[Sequence[Photo]], list[DecodeResult]]
#: Starts to prepare a batch. The function that it returns waits for that, and passes the batch to the `RunBatch`.
Prepare = Callable[[RunBatch, Sequence[Photo]], Callable[[], list[DecodeResult]]]


@contextmanager
def prefetching(reader: PhotoReader, copies: Path) -> Iterator[Prepare]:
    """Fetch batches of photos into a folder; a copy is deleted once it is processed."""
    threads = ThreadPoolExecutor(reader.threads)

    def prepare(run: RunBatch, batch: Sequence[Photo]) -> Callable[[], list[DecodeResult]]:
        return partial(_finish, run, batch, [threads.submit(_fetch, photo, reader, copies) for photo in batch], copies)

    try:
        yield prepare
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


def _fetch(photo: Photo, reader: PhotoReader, copies: Path) -> Photo | DecodeResult:
    """Return the local copy of a photo, or the reason why there is none."""
    try:
        data = b"" if photo.size > MAX_BYTES else reader.read(photo.path, photo.size or MAX_BYTES)
        if max(photo.size, len(data)) > MAX_BYTES:
            sha256 = reader.sha256(photo.path)
            rejection = CHANGED if photo.sha256 not in ("", sha256) else LARGE_FILE
            return DecodeResult(photo._replace(sha256=sha256), rejection)
    except OSError as exc:
        return DecodeResult(photo, unread(exc))
    copy = photo._replace(path=secrets.token_hex(8))
    (copies / copy.path).write_bytes(data)
    return copy


def _finish(
    run: RunBatch, batch: Sequence[Photo], futures: Sequence[Future[Photo | DecodeResult]], folder: Path
) -> list[DecodeResult]:
    fetched = [future.result() for future in futures]
    copies = [one for one in fetched if isinstance(one, Photo)]
    done = iter(run(copies))
    results = [next(done) if isinstance(one, Photo) else one for one in fetched]
    for copy in copies:
        (folder / copy.path).unlink()
    # The work may have computed the key of a photo that came without one.
    return [
        result._replace(photo=photo._replace(sha256=result.photo.sha256))
        for photo, result in zip(batch, results, strict=True)
    ]
