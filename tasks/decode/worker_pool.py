"""Applies a function to photos on several processes: in order, in bounded memory, safe from codecs that crash.

Threads would be as fast, since Pillow releases Python's lock. But damaged bytes can crash a codec, and with it the
process that runs it.
"""

import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial

from tasks.decode.photo_file import TIMED_OUT, DecodeResult, Photo
from tasks.decode.prefetch import Prepare, prefetching
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.worker_process import WorkerCrashError, WorkerProcess
from tasks.paths import AnyPath
from tasks.snapshot.parquet.row_reader import are_rows, open_reader
from tasks.storage.files import storage_at
from tasks.storage.tempfiles import scratch, scratch_folder, sweep_folder

#: Limits of a batch that is sent to a process: photos, and bytes of those whose size is known.
BATCH, BATCH_BYTES = 16, 2**26
#: Limit of the bytes of all pending batches; a larger photo is processed alone.
MAX_PENDING_BYTES = 2**28
# Pending batches per process: enough to keep all cores busy while the first batch is slow.
_BATCHES_PER_WORKER = 4

_HUNG = Rejection(Reason.KILLED, "Neither it nor an error came within minutes. See whether its disk or server answers.")
_KILLED = Rejection(
    Reason.KILLED, "The process that decoded it was killed, as where memory is short. Run again, with more of it."
)
_CRASHED = Rejection(
    Reason.CRASHED, "The process that decoded it died each time. Store it in another format or delete it."
)
_BY_SIGNAL: dict[int, Rejection] = {signal.SIGVTALRM: TIMED_OUT, signal.SIGKILL: _KILLED, signal.SIGTERM: _KILLED}


class WorkerPool:
    """Gives each thread that calls `run` a worker process of its own, and replaces processes that crash."""

    def __init__(self, work: Callable[[Photo], DecodeResult]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._processes: dict[int, WorkerProcess[Photo, DecodeResult]] = {}
        self._is_terminated = False

    def run(self, batch: Sequence[Photo]) -> list[DecodeResult]:
        """Return the results of a batch. After a crash, the rest of the batch is retried photo by photo."""
        results: list[DecodeResult] = []
        is_retry = False
        while rest := batch[len(results) :]:
            try:
                for result in self._process().map(rest[:1] if is_retry else rest):
                    results.append(result)  # noqa: PERF402 (the results before a crash are kept)
            except WorkerCrashError as crash:
                self._discard()
                if is_retry:
                    results.append(_reject(rest[0], crash))
                is_retry = True
        return results

    def terminate(self) -> None:
        """Kill all processes, and start no more."""
        with self._lock:
            self._is_terminated = True
            for process in self._processes.values():
                process.kill()

    def join(self) -> None:
        """Wait for the end of all processes, after `terminate` and the end of all calls of `run`."""
        for process in self._processes.values():
            process.close()

    def _process(self) -> WorkerProcess[Photo, DecodeResult]:
        thread = threading.get_ident()
        if thread not in self._processes:
            process = WorkerProcess(self._work)
            with self._lock:
                self._processes[thread] = process
                if self._is_terminated:
                    process.kill()
        return self._processes[thread]

    def _discard(self) -> None:
        with self._lock:
            del self._processes[threading.get_ident()]
            if self._is_terminated:
                raise CancelledError


def work_on_photos(
    work: Callable[..., DecodeResult], photos: Sequence[Photo], folder: AnyPath, workers: int
) -> Generator[list[DecodeResult], None, None]:
    """Apply a function to photos of a folder, on an object store too, or of Parquet files; see `map_in_processes`.

    The function is picklable, and takes a photo and the keyword `folder`, the local folder of the photo's path.
    """
    paths = [photo.path for photo in photos[:1]]
    if not storage_at(folder).reads_are_requests and not are_rows(paths):
        yield from map_in_processes(partial(work, folder=folder), photos, workers)
        return
    sweep_folder(scratch())
    with (
        scratch_folder("photos") as copies,
        open_reader(folder, paths) as reader,
        prefetching(reader, copies) as prepare,
    ):
        yield from map_in_processes(partial(work, folder=copies), photos, workers, prepare)


def map_in_processes(
    work: Callable[[Photo], DecodeResult], photos: Sequence[Photo], workers: int, prepare: Prepare = partial
) -> Generator[list[DecodeResult], None, None]:
    """Apply a picklable function to photos on several processes; yields the results of each batch, in their order.

    If a process crashes or hangs, another one retries its photos one by one. A photo that ends that process too is
    rejected, for the reason that the signal gives. `prepare` is called for each batch ahead of its turn.

    Raises:
        MachineError: A process does not start.
    """
    batches = deque(_batches(photos))
    workers = min(workers, len(batches))
    if not workers:
        return
    pending: deque[tuple[Future[list[DecodeResult]], Sequence[Photo]]] = deque()
    pool, threads = WorkerPool(work), ThreadPoolExecutor(workers)
    try:
        while pending or batches:
            while batches and len(pending) < _BATCHES_PER_WORKER * workers and _fits(batches[0], pending):
                batch = batches.popleft()
                pending.append((threads.submit(prepare(pool.run, batch)), batch))
            yield pending.popleft()[0].result()
    finally:
        # The processes go first, since each thread waits for its process.
        pool.terminate()
        threads.shutdown(wait=True, cancel_futures=True)
        pool.join()


def _batches(photos: Sequence[Photo]) -> Iterator[Sequence[Photo]]:
    start, size = 0, 0
    for index, photo in enumerate(photos):
        if index > start and (index == start + BATCH or size + photo.size > BATCH_BYTES):
            yield photos[start:index]
            start, size = index, 0
        size += photo.size
    if photos:
        yield photos[start:]


def _fits(batch: Sequence[Photo], pending: Iterable[tuple[object, Sequence[Photo]]]) -> bool:
    held = sum(photo.size for _, waiting in pending for photo in waiting)
    return not held or held + sum(photo.size for photo in batch) <= MAX_PENDING_BYTES


def _reject(photo: Photo, crash: WorkerCrashError) -> DecodeResult:
    return DecodeResult(photo, _HUNG if crash.hung else _BY_SIGNAL.get(crash.signal, _CRASHED))
