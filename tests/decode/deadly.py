"""Work that does harm to its process, in a module that is quick to import: each new process does so."""

import hashlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tasks.decode import resource_limits
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.resource_limits import bounded
from tasks.decode.settings import DecodeSettings
from tasks.decode.workers import DecodeResult, Photo, decode_files

SETTINGS = DecodeSettings(size=16, resize=16)
DEADLY = "deadly"


def die_of_the_deadly(photos: Sequence[Photo]) -> list[DecodeResult]:
    """Stand in for a codec that crashes, and whatever else ends a process: the photo's name says which signal."""
    for photo in photos:
        if photo.path.startswith(DEADLY):
            os.kill(os.getpid(), int(photo.path.removeprefix(DEADLY)))
    return [DecodeResult(photo, Rejection(Reason.EMPTY, str(os.getpid()))) for photo in photos]


def linger(photos: Sequence[Photo]) -> list[DecodeResult]:
    time.sleep(0.005)
    return die_of_the_deadly(photos)


def die_once(photos: Sequence[Photo], *, folder: Path) -> list[DecodeResult]:
    """Die of the first photo, but not when it comes again."""
    try:
        (folder / "died").mkdir()
    except FileExistsError:
        return die_of_the_deadly(photos)
    os.kill(os.getpid(), signal.SIGKILL)
    return []


class Stillborn:
    """Work that no process lives to begin."""

    def __call__(self, photos: Sequence[Photo]) -> list[DecodeResult]:
        """Do nothing."""
        return die_of_the_deadly(photos)

    def __setstate__(self, state: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def __getstate__(self) -> object:
        return "not nothing, which would not be set"


def stop(photos: Sequence[Photo]) -> list[DecodeResult]:
    """Stand in for a disk that does not answer: the process does nothing any more, and takes no time for it."""
    if photos[0].path == "1.jpg":
        os.kill(os.getpid(), signal.SIGSTOP)
    return die_of_the_deadly(photos)


def spin(photos: Sequence[Photo], *, seconds: float) -> list[DecodeResult]:
    """Stand in for a codec that never comes back to Python; the second photo is such a one."""
    resource_limits.CPU_SECONDS = seconds
    if photos[0].path == "1.jpg":
        with bounded(10):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # half an hour
    return die_of_the_deadly(photos)


def decode_in_a_hurry(photos: Sequence[Photo], *, folder: Path) -> list[DecodeResult]:
    resource_limits.CPU_SECONDS = 0.1
    return decode_files(photos, folder=folder, settings=SETTINGS, max_pixels=300_000_000)


def decode_with_little_memory(photos: Sequence[Photo], *, folder: Path) -> list[DecodeResult]:
    resource_limits.BASE_BYTES, resource_limits.BYTES_PER_PIXEL = 2**28, 0
    return decode_files(photos, folder=folder, settings=SETTINGS, max_pixels=300_000_000)


def fail(photos: Sequence[Photo]) -> list[DecodeResult]:
    raise ZeroDivisionError(f"a bug met {len(photos)} photos")
