"""Photos' files -> pictures, in processes of their own: on all cores, in bounded memory, safe from crashing codecs.

Threads would do for Pillow's speed, which works without Python's lock; but damaged bytes can kill a process from within
a codec, and then it should not be ours.
"""

import hashlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tasks.decode.bounds import CPU_SECONDS, TimeUpError, bounded
from tasks.decode.images import MAX_PIXELS, Picture, decode_photo
from tasks.decode.process import DiedError, WorkerProcess
from tasks.decode.rejections import Reason, Rejected, Rejection
from tasks.decode.settings import DecodeSettings
from tasks.snapshot.opening import open_photo

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

_TIMED_OUT = Rejection(
    Reason.TIMED_OUT,
    f"To decode it takes more than {CPU_SECONDS:.0f} seconds of a processor. Store it smaller or delete it.",
)


def decode_files(
    photos: Sequence[Photo], *, folder: Path, settings: DecodeSettings, max_pixels: int = MAX_PIXELS
) -> list[Tried]:
    """Read and decode photos, one after the other.

    Args:
        photos: Which.
        folder: What their paths are relative to.
        settings: What to make of them.
        max_pixels: Pixels that a photo may have.

    Returns:
        An outcome for each, in their order.
    """
    return [Tried(photo, _decode_file(photo, folder, settings, max_pixels)) for photo in photos]


def in_processes(work: Work, photos: Sequence[Photo], workers: int) -> Generator[list[Tried], None, None]:
    """Do the work on several processes, and hand on what came of it in batches.

    Where a process dies or hangs, another takes its place, and what it may have died of is tried again one by one. A
    photo that ends that process too is rejected, for the reason that the signal tells.

    Args:
        work: What to do with a photo: a function of a module, or a partial of one; it gets one at a time.
        photos: All of them.
        workers: Processes at most.

    Yields:
        The outcomes of one batch after the other, in the order of the photos.

    Raises:
        MachineError: Processes die before they get any work, so that no photo is to blame.
    """
    batches = deque(photos[start : start + BATCH] for start in range(0, len(photos), BATCH))
    workers = min(workers, len(batches))
    if not workers:
        return
    flying: deque[Future[list[Tried]]] = deque()
    crew, threads = _Crew(work), ThreadPoolExecutor(workers)
    try:
        while flying or batches:
            while batches and len(flying) < _BATCHES_PER_WORKER * workers:
                flying.append(threads.submit(crew.do, batches.popleft()))
            yield flying.popleft().result()
    finally:
        # The processes first: a thread waits for its own.
        crew.dismiss()
        threads.shutdown(wait=True, cancel_futures=True)
        crew.bury()


class _Crew:
    """The processes, one a thread that asks for work.

    Args:
        work: What they do.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._own = threading.local()
        self._lock = threading.Lock()
        self._living: set[WorkerProcess[Photo, Tried]] = set()
        self._dismissed = False

    def do(self, batch: Sequence[Photo]) -> list[Tried]:
        """Do a batch on the thread's process; where it dies, what is left of the batch one by one."""
        outcomes: list[Tried] = []
        try:
            for tried in self._process().do(batch):
                outcomes.append(tried)  # noqa: PERF402 (they stay where the process dies over a later one)
        except DiedError:
            self._lose()
            outcomes.extend([self._do_alone(photo) for photo in batch[len(outcomes) :]])
        return outcomes

    def dismiss(self) -> None:
        """Kill all processes; there will be no others."""
        with self._lock:
            self._dismissed = True
            for process in self._living:
                process.kill()

    def bury(self) -> None:
        """Wait until all processes are gone; no thread may be working any more."""
        for process in self._living:
            process.close()

    def _do_alone(self, photo: Photo) -> Tried:
        """Try a photo without company: a death is its own."""
        try:
            return next(self._process().do([photo]))
        except DiedError as death:
            self._lose()
            return Tried(photo, _died(death))

    def _process(self) -> WorkerProcess[Photo, Tried]:
        process: WorkerProcess[Photo, Tried] | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = WorkerProcess(self._work)
            with self._lock:
                self._living.add(process)
                if self._dismissed:
                    process.kill()
                    raise CancelledError
        return process

    def _lose(self) -> None:
        with self._lock:
            self._living.discard(self._own.process)
            self._own.process = None
            if self._dismissed:
                raise CancelledError


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


def _decode_file(  # noqa: PLR0911 (one for each outcome)
    photo: Photo, folder: Path, settings: DecodeSettings, max_pixels: int
) -> Picture | Rejection:
    try:
        data, sha256 = _read(folder / photo.path)
    except (FileNotFoundError, NotADirectoryError):
        return Rejection(Reason.VANISHED, "The file is no longer there. Run again, for a new snapshot.")
    except OSError as exc:
        return Rejection(Reason.UNREADABLE, f"The file cannot be read ({exc.strerror}). Mend that and run again.")
    if sha256 != photo.sha256:
        return Rejection(Reason.CHANGED, "The file was changed after the snapshot. Run again, for a new snapshot.")
    if data is None:
        return Rejection(Reason.TOO_LARGE, f"The file has more than {MAX_BYTES} bytes. Store it smaller or delete it.")
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
