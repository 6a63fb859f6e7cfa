"""How long, and with how much memory, a process may work on one photo.

A bomb is small as a file and endless as a picture, and which codec has a way to make one is not known before. So time
and memory are measured, whatever the format. Only a process that decodes and does nothing else can be bounded so:
`take_bounds` is called in it once, and `bounded` around each photo, which elsewhere does nothing.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

#: Of processor time, not of the clock: a photo that takes longer does so on a busy machine and on an idle one.
CPU_SECONDS = 30.0
#: What the process has before it begins, and the bytes of the photo's file.
BASE_BYTES = 2**30
#: Bytes of memory for each pixel: of honest photos of 100 megapixels the hungriest (a WebP with transparency, a TIFF
#: of floats) take 18.
BYTES_PER_PIXEL = 24


class TimeUpError(BaseException):
    """A photo took too long; no `except Exception` of a codec's may keep it from whoever set the limit."""


def take_bounds() -> None:
    """Let this process, whose main thread must call it, be bounded."""
    # Few photos need numpy; its threads, one a core, would each take a share of the memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    signal.signal(signal.SIGPROF, _raise)


@contextmanager
def bounded(max_pixels: int) -> Iterator[None]:
    """Bound the time and memory of the block.

    A codec that never comes back to Python cannot be interrupted; after twice the time it takes the process with it,
    which ends by SIGVTALRM.

    Args:
        max_pixels: Of a photo, which decide how much memory is enough; a block that asks for more meets `MemoryError`.

    Raises:
        TimeUpError: The block took more than `CPU_SECONDS` of processor time.
    """
    if signal.getsignal(signal.SIGPROF) is not _raise:
        yield
        return
    _limit_memory(BASE_BYTES + BYTES_PER_PIXEL * max_pixels)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * CPU_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _raise(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (as handlers are called)
    raise TimeUpError


def _limit_memory(limit: int) -> None:
    """Limit what is written to; address space that is only reserved, as by threads and libraries, costs nothing."""
    if sys.platform != "linux":  # elsewhere the limit is of another thing
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
