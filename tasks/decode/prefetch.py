"""Fetches photos from an object store ahead of the processes that decode them.

A process handles one photo at a time and would wait for the network at each. So threads of the parent fetch many photos
at once into a scratch folder, from which the processes read. Each photo is fetched by one request, even if a process
crashes over it.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from tasks.decode.photo_file import LARGE_FILE, MAX_BYTES, DecodeResult, Photo
from tasks.decode.rejections import CHANGED, unread
from tasks.paths import AnyPath
from tasks.snapshot.photo_io import photo_sha256, read_photo
from tasks.storage.remote_listing import AT_ONCE

RunBatch = Callable[[Sequence[Photo]], list[DecodeResult]]


class Prefetcher:
    """Fetches batches of photos from a folder on an object store; a copy in scratch is deleted once it is processed."""

    def __init__(self, remote: AnyPath, copies: Path) -> None:
        self._remote, self._copies = remote, copies
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def prepare(self, run: RunBatch, batch: Sequence[Photo]) -> Callable[[], list[DecodeResult]]:
        """Start to fetch a batch; the returned function waits for the copies and runs the batch on them."""
        return partial(self._finish, run, batch, [self._threads.submit(self._fetch, photo) for photo in batch])

    def _finish(
        self, run: RunBatch, batch: Sequence[Photo], futures: Sequence[Future[Photo | DecodeResult]]
    ) -> list[DecodeResult]:
        fetched = [future.result() for future in futures]
        copies = [one for one in fetched if isinstance(one, Photo)]
        done = iter(run(copies) if copies else ())
        results = [one if isinstance(one, DecodeResult) else next(done) for one in fetched]
        for copy in copies:
            (self._copies / copy.path).unlink()
        # The work may have computed the key of a photo that came without one.
        return [
            result._replace(photo=photo._replace(sha256=result.photo.sha256))
            for photo, result in zip(batch, results, strict=True)
        ]

    def _fetch(self, photo: Photo) -> Photo | DecodeResult:
        """Return the local copy of a photo, or the reason why there is none."""
        path = self._remote / photo.path
        try:
            data = b"" if photo.size > MAX_BYTES else read_photo(path, photo.size or MAX_BYTES)
            if max(photo.size, len(data)) > MAX_BYTES:
                sha256 = photo_sha256(path)
                rejection = CHANGED if photo.sha256 not in ("", sha256) else LARGE_FILE
                return DecodeResult(photo._replace(sha256=sha256), rejection)
        except OSError as exc:
            return DecodeResult(photo, unread(exc))
        copy = photo._replace(path=secrets.token_hex(8))
        (self._copies / copy.path).write_bytes(data)
        return copy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
