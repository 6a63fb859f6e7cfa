"""Limits the processor time and the memory that a photo may take.

A small file can decode to an endless picture, and no one knows which codecs allow that. So time and memory are measured
for every format. The limits hold for the process as a whole: a worker process calls `enable_limits` once and decodes
each photo within `limited`, which does nothing in other processes.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

#: Limit of processor time, which does not depend on how busy the machine is, as wall-clock time does.
CPU_SECONDS = 30.0
#: Memory for the process itself and for the photo's file.
BASE_BYTES = 2**30
#: Memory per pixel: the hungriest valid photos of 100 megapixels (a WebP with transparency, a TIFF of floats) take 18.
BYTES_PER_PIXEL = 24


class TimeUpError(BaseException):
    """The photo took too much time. This is a BaseException so that no `except Exception` of a codec catches it."""


def enable_limits() -> None:
    """Let `limited` limit this process; call this in the main thread."""
    # Few photos need numpy, and its threads, one per core, would each take a share of the memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    signal.signal(signal.SIGPROF, _raise)


@contextmanager
def limited(max_pixels: int) -> Iterator[None]:
    """Limit the time and memory of a block that decodes a photo of at most so many pixels.

    A codec that never returns to Python cannot be interrupted; after twice the time, SIGVTALRM ends the process.

    Raises:
        MemoryError: The block took more memory than a photo of so many pixels may.
        TimeUpError: The block took more than `CPU_SECONDS`.
    """
    if signal.getsignal(signal.SIGPROF) is not _raise:
        yield
        return
    limit_memory(BASE_BYTES + BYTES_PER_PIXEL * max_pixels)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * CPU_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _raise(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (as handlers are called)
    raise TimeUpError


def limit_memory(limit: int) -> None:
    """Limit data memory, which leaves out address space that threads and libraries only reserve."""
    if sys.platform == "linux":  # RLIMIT_DATA means something else elsewhere
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
