"""Reads and decodes the file of one photo; worker processes call this."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from tasks.decode.images import MAX_PIXELS, Picture, decode_photo
from tasks.decode.rejections import CHANGED, Reason, Rejected, Rejection, unread
from tasks.decode.resource_limits import CPU_SECONDS, TimeUpError, limited
from tasks.decode.settings import DecodeSettings
from tasks.snapshot.photo_io import open_photo

#: Largest photo file in bytes, since files are read whole.
MAX_BYTES = 2**29
LARGE_FILE = Rejection(Reason.TOO_LARGE, f"The file has more than {MAX_BYTES} bytes. Store it smaller or delete it.")
TIMED_OUT = Rejection(
    Reason.TIMED_OUT,
    f"To decode it takes more than {CPU_SECONDS:.0f} seconds of a processor. Store it smaller or delete it.",
)


class Photo(NamedTuple):
    """A photo to decode."""

    sha256: str  #: Key of the photo.
    path: str  #: Path of the file, relative to the dataset's folder.
    size: int = 0  #: Bytes of a file on an object store, which limit how many are fetched at once; 0 for local files.


class DecodeResult(NamedTuple):
    """The picture of a photo, or the reason why there is none; and pictures by further settings, if there are any."""

    photo: Photo
    result: Picture | Rejection
    others: tuple[Picture, ...] = ()


def decode_file(photo: Photo, *, folder: Path, settings: DecodeSettings, max_pixels: int = MAX_PIXELS) -> DecodeResult:
    """Read and decode a photo, whose path is in a folder."""
    return DecodeResult(photo, _decode(photo, folder, settings, max_pixels))


def _decode(photo: Photo, folder: Path, settings: DecodeSettings, max_pixels: int) -> Picture | Rejection:
    try:
        data, sha256 = _read(folder / photo.path)
    except OSError as exc:
        return unread(exc)
    if sha256 != photo.sha256:
        return CHANGED
    if data is None:
        return LARGE_FILE
    try:
        with limited(max_pixels):
            return decode_photo(data, settings, max_pixels)
    except Rejected as exc:
        return exc.rejection
    except TimeUpError:
        return TIMED_OUT


def _read(path: Path) -> tuple[bytes | None, str]:
    """Read and hash a file; a file of more than `MAX_BYTES` is only hashed."""
    with open_photo(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            return None, hashlib.file_digest(file, "sha256").hexdigest()
        data = file.read(size)
        return data, hashlib.sha256(data).hexdigest()
