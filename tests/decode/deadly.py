"""Functions of one photo that harm the process that runs them; the module is quick to import in each worker."""

import hashlib
import os
import signal
import time
from pathlib import Path

from tasks.decode import resource_limits
from tasks.decode.photo_file import DecodeResult, Photo, decode_file
from tasks.decode.rejections import Reason, Rejection
from tasks.decode.resource_limits import limited
from tasks.decode.settings import DecodeSettings

SETTINGS = DecodeSettings(size=16, resize=16)
DEADLY = "deadly"


def die_of_the_deadly(photo: Photo) -> DecodeResult:
    """Simulate a codec that crashes, and all else that ends a process: the photo's name holds the signal."""
    if photo.path.startswith(DEADLY):
        os.kill(os.getpid(), int(photo.path.removeprefix(DEADLY)))
    return DecodeResult(photo, Rejection(Reason.EMPTY, str(os.getpid())))


def linger(photo: Photo) -> DecodeResult:
    time.sleep(0.005)
    return die_of_the_deadly(photo)


def die_once(photo: Photo, *, folder: Path) -> DecodeResult:
    """Die of the first photo, but not when it is retried."""
    try:
        (folder / "died").mkdir()
    except FileExistsError:
        return die_of_the_deadly(photo)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


class Stillborn:
    """Work that kills each process that unpickles it, as soon as it starts."""

    def __call__(self, photo: Photo) -> DecodeResult:
        """Do nothing."""
        return die_of_the_deadly(photo)

    def __reduce__(self) -> tuple[object, ...]:
        return signal.raise_signal, (signal.SIGKILL,)


def stop(photo: Photo) -> DecodeResult:
    """Simulate a disk that does not answer: the process stops and uses no processor time."""
    if photo.path == "1.jpg":
        os.kill(os.getpid(), signal.SIGSTOP)
    return die_of_the_deadly(photo)


def spin(photo: Photo, *, seconds: float) -> DecodeResult:
    """Simulate a codec that never returns to Python from the second photo."""
    resource_limits.CPU_SECONDS = seconds
    if photo.path == "1.jpg":
        with limited(10):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # half an hour
    return die_of_the_deadly(photo)


def decode_in_a_hurry(photo: Photo, *, folder: Path) -> DecodeResult:
    resource_limits.CPU_SECONDS = 0.1
    return decode_file(photo, folder=folder, settings=SETTINGS, max_pixels=300_000_000)


def decode_with_little_memory(photo: Photo, *, folder: Path) -> DecodeResult:
    resource_limits.BASE_BYTES, resource_limits.BYTES_PER_PIXEL = 2**28, 0
    return decode_file(photo, folder=folder, settings=SETTINGS, max_pixels=300_000_000)


def fail(photo: Photo) -> DecodeResult:
    raise ZeroDivisionError(f"a bug met {photo.path}")
