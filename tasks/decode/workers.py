"""Photos' files -> pictures, in processes of their own: on all cores, in bounded memory, safe from crashing codecs.

Threads would do for Pillow's speed, which works without Python's lock; but damaged bytes can kill a process from within
a codec, and then it should not be ours. Workers are forked from a small server process rather than from ours, since a
fork of a process that has threads (TensorFlow's, say) can lock up.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

from tasks.decode.images import Picture, decode_photo
from tasks.decode.rejections import Reason, Rejected, Rejection
from tasks.decode.settings import DecodeSettings

BATCH = 16
#: Bytes of a photo's file at most: it is read whole.
MAX_BYTES = 2**29
# Batches under way or waiting for their turn to be handed on: enough that a slow one at their head leaves no core idle.
_BATCHES_PER_WORKER = 4


class Photo(NamedTuple):
    """A photo that is wanted.

    Args:
        sha256: Its key.
        path: Its file, relative to the dataset's folder.
    """

    sha256: str
    path: str


class Tried(NamedTuple):
    """What became of a photo."""

    photo: Photo
    result: Picture | Rejection


Work = Callable[[Sequence[Photo]], list[Tried]]


def decode_files(photos: Sequence[Photo], *, folder: Path, settings: DecodeSettings) -> list[Tried]:
    """Read and decode photos, one after the other.

    Args:
        photos: Which.
        folder: What their paths are relative to.
        settings: What to make of them.

    Returns:
        An outcome for each, in their order.
    """
    return [Tried(photo, _decode_file(photo, folder, settings)) for photo in photos]


def in_processes(work: Work, photos: Sequence[Photo], workers: int) -> Generator[list[Tried], None, None]:
    """Do the work in batches on several processes.

    Where a worker dies, what it may have died of is tried again in a process of its own, in ever smaller parts; a photo
    that kills that too, all alone, is rejected as crashed.

    Args:
        work: What to do with a batch: a function of a module, or a partial of one.
        photos: All of them.
        workers: Processes at most.

    Yields:
        The outcomes of one batch after the other, in the order of the photos.

    Raises:
        BrokenProcessPool: Processes die before they get any work, so that no photo is to blame.
    """
    batches = deque(photos[start : start + BATCH] for start in range(0, len(photos), BATCH))
    while batches:
        yield from _until_broken(work, batches, min(workers, len(batches)))


def _until_broken(work: Work, batches: deque[Sequence[Photo]], workers: int) -> Iterator[list[Tried]]:
    """Take batches from the left, until none is left or a worker died; all that was taken is also yielded."""
    flying: deque[tuple[Sequence[Photo], Future[list[Tried]]]] = deque()
    broken = False
    with _pool(workers) as pool:
        while flying or (batches and not broken):
            while batches and not broken and len(flying) < _BATCHES_PER_WORKER * workers:
                flying.append((batches[0], _submit(pool, work, batches.popleft())))
            batch, future = flying.popleft()
            try:
                outcomes = future.result()
            except BrokenProcessPool:
                broken = True
                outcomes = _isolated(work, batch)
            yield outcomes


def _submit(pool: ProcessPoolExecutor, work: Work, batch: Sequence[Photo]) -> Future[list[Tried]]:
    """Submit to a pool that may have broken just now: that comes to light with the result, as for all others."""
    try:
        return pool.submit(work, batch)
    except BrokenProcessPool as exc:
        future: Future[list[Tried]] = Future()
        future.set_exception(exc)
        return future


def _isolated(work: Work, batch: Sequence[Photo]) -> list[Tried]:
    """Do a batch in a fresh process; where that dies, do each half likewise, down to the photo that kills it."""
    with _pool(1) as pool:
        pool.submit(work, []).result()
        try:
            return pool.submit(work, batch).result()
        except BrokenProcessPool:
            if len(batch) == 1:
                message = "The process that decoded it died each time. Store it in another format or delete it."
                return [Tried(batch[0], Rejection(Reason.CRASHED, message))]
    middle = len(batch) // 2
    return _isolated(work, batch[:middle]) + _isolated(work, batch[middle:])


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that drops what it has not begun when the block ends early, as with Ctrl-C."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent does: a killed one leaves no worker waiting for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _decode_file(photo: Photo, folder: Path, settings: DecodeSettings) -> Picture | Rejection:
    path = folder / photo.path
    try:
        large = path.stat().st_size > MAX_BYTES
        data = b"" if large else path.read_bytes()
        sha256 = _large_sha256(path) if large else hashlib.sha256(data).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return Rejection(Reason.VANISHED, "The file is no longer there. Run again, for a new snapshot.")
    except OSError as exc:
        return Rejection(Reason.UNREADABLE, f"The file cannot be read ({exc.strerror}). Mend that and run again.")
    if sha256 != photo.sha256:
        return Rejection(Reason.CHANGED, "The file was changed after the snapshot. Run again, for a new snapshot.")
    if large:
        return Rejection(Reason.TOO_LARGE, f"The file has more than {MAX_BYTES} bytes. Store it smaller or delete it.")
    try:
        return decode_photo(data, settings)
    except Rejected as exc:
        return exc.rejection


def _large_sha256(path: Path) -> str:
    from tasks.artifacts import file_sha256  # noqa: PLC0415 (pyarrow, which would make every start of processes wait)

    return file_sha256(path)
