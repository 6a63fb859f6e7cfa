"""Photos' files -> pictures, in processes of their own: on all cores, in bounded memory, safe from crashing codecs.

Threads would do for Pillow's speed, which works without Python's lock; but damaged bytes can kill a process from within
a codec, and then it should not be ours.
"""

import hashlib
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tasks.decode.images import MAX_PIXELS, Picture, decode_photo
from tasks.decode.rejections import CHANGED, Reason, Rejected, Rejection, unread
from tasks.decode.resource_limits import CPU_SECONDS, TimeUpError, bounded
from tasks.decode.settings import DecodeSettings
from tasks.decode.worker_pool import WorkerPool
from tasks.decode.worker_process import DiedError
from tasks.snapshot.photo_io import open_photo

#: Photos that a process is handed at a time, and of those whose size is known bytes; a larger one goes alone.
BATCH, BATCH_BYTES = 16, 2**26
#: Bytes of all photos that are handed over or wait for that, unless it is one alone.
MOST_BYTES = 2**28
#: Bytes of a photo's file at most: it is read whole.
MAX_BYTES = 2**29
# Batches under way or waiting for their turn to be handed on: enough that a slow one at their head leaves no core idle.
_BATCHES_PER_WORKER = 4


class Photo(NamedTuple):
    """A photo that is wanted.

    Args:
        sha256: Its key.
        path: Its file, relative to the dataset's folder.
        size: Bytes of its file where that is far away, so that few large ones are fetched at once; else 0.
    """

    sha256: str
    path: str
    size: int = 0


class DecodeResult(NamedTuple):
    """What became of a photo.

    Args:
        photo: The photo.
        result: Its picture, or why there is none.
        others: Its pictures by further settings, where the work was to make several.
    """

    photo: Photo
    result: Picture | Rejection
    others: tuple[Picture, ...] = ()


Work = Callable[[Sequence[Photo]], list[DecodeResult]]
#: Begins what a batch needs before it can be worked on, and returns what then does the work on it.
Begin = Callable[[Work, Sequence[Photo]], Callable[[], list[DecodeResult]]]

LARGE_FILE = Rejection(Reason.TOO_LARGE, f"The file has more than {MAX_BYTES} bytes. Store it smaller or delete it.")
_TIMED_OUT = Rejection(
    Reason.TIMED_OUT,
    f"To decode it takes more than {CPU_SECONDS:.0f} seconds of a processor. Store it smaller or delete it.",
)


def decode_files(
    photos: Sequence[Photo], *, folder: Path, settings: DecodeSettings, max_pixels: int = MAX_PIXELS
) -> list[DecodeResult]:
    """Read and decode photos, one after the other.

    Args:
        photos: Which.
        folder: What their paths are relative to.
        settings: What to make of them.
        max_pixels: Pixels that a photo may have.

    Returns:
        An outcome for each, in their order.
    """
    return [DecodeResult(photo, _decode_file(photo, folder, settings, max_pixels)) for photo in photos]


def in_processes(
    work: Work, photos: Sequence[Photo], workers: int, begin: Begin = partial
) -> Generator[list[DecodeResult], None, None]:
    """Do the work on several processes, and hand on what came of it in batches.

    Where a process dies or hangs, another takes its place, and what it may have died of is tried again one by one. A
    photo that ends that process too is rejected, for the reason that the signal tells.

    Args:
        work: What to do with a photo: a function of a module, or a partial of one; it gets one at a time.
        photos: All of them.
        workers: Processes at most.
        begin: Called for a batch when it is a while yet until its turn; by default it needs nothing.

    Yields:
        The outcomes of one batch after the other, in the order of the photos.

    Raises:
        MachineError: Processes die before they get any work, so that no photo is to blame.
    """
    batches = deque(_batches(photos))
    workers = min(workers, len(batches))
    if not workers:
        return
    flying: deque[_Flight] = deque()
    crew, threads = WorkerPool(work, _mourn), ThreadPoolExecutor(workers)
    try:
        while flying or batches:
            while batches and len(flying) < _BATCHES_PER_WORKER * workers and _fits(batches[0], flying):
                batch = batches.popleft()
                flying.append(_Flight(threads.submit(begin(crew.do, batch)), _bytes(batch)))
            yield flying.popleft().outcomes.result()
    finally:
        # The processes first: a thread waits for its own.
        crew.dismiss()
        threads.shutdown(wait=True, cancel_futures=True)
        crew.bury()


class _Flight(NamedTuple):
    """A batch under way: what will come of it, and the bytes of its photos."""

    outcomes: Future[list[DecodeResult]]
    bytes: int


def _batches(photos: Sequence[Photo]) -> Iterator[Sequence[Photo]]:
    """Cut photos into batches of `BATCH`, or fewer where these would have more than `BATCH_BYTES`."""
    start, held = 0, 0
    for place, photo in enumerate(photos):
        if place > start and (place == start + BATCH or held + photo.size > BATCH_BYTES):
            yield photos[start:place]
            start, held = place, 0
        held += photo.size
    if photos:
        yield photos[start:]


def _fits(batch: Sequence[Photo], flying: Iterable[_Flight]) -> bool:
    held = sum(flight.bytes for flight in flying)
    return not held or held + _bytes(batch) <= MOST_BYTES


def _bytes(batch: Sequence[Photo]) -> int:
    return sum(photo.size for photo in batch)


def _mourn(photo: Photo, death: DiedError) -> DecodeResult:
    return DecodeResult(photo, _died(death))


def _died(death: DiedError) -> Rejection:
    """Say why a photo has no picture whose process died."""
    if death.hung:
        return Rejection(
            Reason.KILLED, "Neither it nor an error came within minutes. See whether its disk or server answers."
        )
    if death.signal == signal.SIGVTALRM:
        return _TIMED_OUT
    if death.signal in (signal.SIGKILL, signal.SIGTERM):
        return Rejection(
            Reason.KILLED,
            "The process that decoded it was killed, as where memory is short. Run again, with more of it.",
        )
    return Rejection(
        Reason.CRASHED, "The process that decoded it died each time. Store it in another format or delete it."
    )


def _decode_file(photo: Photo, folder: Path, settings: DecodeSettings, max_pixels: int) -> Picture | Rejection:
    try:
        data, sha256 = _read(folder / photo.path)
    except OSError as exc:
        return unread(exc)
    if sha256 != photo.sha256:
        return CHANGED
    if data is None:
        return LARGE_FILE
    try:
        with bounded(max_pixels):
            return decode_photo(data, settings, max_pixels)
    except Rejected as exc:
        return exc.rejection
    except TimeUpError:
        return _TIMED_OUT


def _read(path: Path) -> tuple[bytes | None, str]:
    """Read a photo's file, None where it is too long for that, and hash it."""
    with open_photo(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            return None, hashlib.file_digest(file, "sha256").hexdigest()
        data = file.read(size)
        return data, hashlib.sha256(data).hexdigest()
