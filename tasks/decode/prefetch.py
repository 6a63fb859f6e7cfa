"""Photos of an object store, fetched ahead of the processes that work on them.

A process takes one photo after the other, and would wait for the network at each. So many are fetched at once, in
threads of ours, into scratch, where a process reads them as it does any file. Each is one request, and is asked for
once, even where a process dies over it.
"""

import secrets
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tasks.decode.rejections import CHANGED, unread
from tasks.decode.workers import LARGE_FILE, MAX_BYTES, DecodeResult, Photo, Work, in_processes
from tasks.paths import AnyPath
from tasks.snapshot.photo_io import photo_sha256, read_photo
from tasks.storage.files import storage_at, sweep
from tasks.storage.remote_listing import AT_ONCE
from tasks.storage.tempfiles import scratch_folder


def work_on_photos(
    work: Callable[..., list[DecodeResult]], photos: Sequence[Photo], folder: AnyPath, workers: int
) -> Generator[list[DecodeResult], None, None]:
    """Do the work on photos in several processes, wherever the photos are; see `in_processes`.

    Args:
        work: What to do with photos: a function of a module, or a partial of one. It gets the keyword `folder`: what
            the paths of its photos are relative to, on this machine.
        photos: All of them.
        folder: What their paths are relative to.
        workers: Processes at most.

    Yields:
        The outcomes of one batch after the other, in the order of the photos.

    Raises:
        MachineError: The object store cannot be had, or processes die before they get any work.
    """
    if not storage_at(folder).reads_are_requests:
        yield from in_processes(partial(work, folder=folder), photos, workers)
        return
    sweep(folder)
    with scratch_folder("photos") as here, _Fetching(folder, here) as fetching:
        yield from in_processes(partial(work, folder=here), photos, workers, fetching.begin)


class _Fetching:
    """Fetches photos, many at once; see `Begin`.

    Args:
        there: The folder on the object store.
        here: Where copies are for as long as they are worked on.
    """

    def __init__(self, there: AnyPath, here: Path) -> None:
        self._there, self._here = there, here
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def begin(self, work: Work, batch: Sequence[Photo]) -> Callable[[], list[DecodeResult]]:
        """Begin to fetch a batch; what is returned waits for it, and does the work."""
        return partial(self._finish, work, batch, [self._threads.submit(self._fetch, photo) for photo in batch])

    def _finish(
        self, work: Work, batch: Sequence[Photo], coming: Sequence[Future[Photo | DecodeResult]]
    ) -> list[DecodeResult]:
        fetched = [each.result() for each in coming]
        copies = [one for one in fetched if isinstance(one, Photo)]
        done = iter(work(copies) if copies else ())
        outcomes = [one if isinstance(one, DecodeResult) else next(done) for one in fetched]
        for copy in copies:
            (self._here / copy.path).unlink()
        # Who works on one without a key finds it out.
        photos = [photo._replace(sha256=tried.photo.sha256) for photo, tried in zip(batch, outcomes, strict=True)]
        return [tried._replace(photo=photo) for photo, tried in zip(photos, outcomes, strict=True)]

    def _fetch(self, photo: Photo) -> Photo | DecodeResult:
        """Copy a photo, or say why there is no copy."""
        path = self._there / photo.path
        try:
            data = b"" if photo.size > MAX_BYTES else read_photo(path, photo.size or MAX_BYTES)
            if max(photo.size, len(data)) > MAX_BYTES:
                sha256 = photo_sha256(path)
                return DecodeResult(
                    photo._replace(sha256=sha256), CHANGED if photo.sha256 not in ("", sha256) else LARGE_FILE
                )
        except OSError as exc:
            return DecodeResult(photo, unread(exc))
        copy = photo._replace(path=secrets.token_hex(8))
        (self._here / copy.path).write_bytes(data)
        return copy

    def __enter__(self) -> "_Fetching":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
