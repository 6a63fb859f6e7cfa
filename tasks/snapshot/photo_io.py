"""Reads photos, from this machine or an object store, and never waits for a file that is none.

A file that the walk found may be a pipe by the time it is read. A pipe without a writer, a socket or a terminal never
ends.
"""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.paths import AnyPath, is_remote

if TYPE_CHECKING:
    from upath import UPath

#: Most bytes of an object in memory: nearly all photos are read in one request.
PIECE = 64 * 2**20


def open_photo(path: Path) -> io.BufferedReader:
    """Open a file for reading; links to files are followed.

    Raises:
        OSError: The file cannot be opened, or is no regular file.
    """
    return open(path, "rb", opener=_open_regular)


def read_head(path: str, most: int) -> bytes:
    """Read the first bytes of a local file as `open_photo` does, in less than half the time."""
    descriptor = _open_regular(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def _open_regular(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_photo(path: AnyPath, most: int) -> bytes:
    """Read the bytes of a photo, or the first `most + 1` of a larger one; an object in one request.

    Raises:
        OSError: As of `open_photo`; an object is missing, or may not be read.
        StoreUnreachableError: The object store cannot be had, so that nobody knows.
    """
    # Only a local path may be a pipe; the storage does not expect one in a data root.
    if is_remote(path):
        return _read_range(path, 0, most + 1)
    with open_photo(path) as file:
        # No more than the file has: Python allocates a buffer of the size asked for.
        return file.read(min(most, os.fstat(file.fileno()).st_size) + 1)


def photo_sha256(path: AnyPath) -> str:
    """Hash the bytes of a photo in bounded memory, 64 lower-case hex digits; errors are those of `read_photo`."""
    if not is_remote(path):
        with open_photo(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest, start, piece = hashlib.sha256(), 0, b""
    while start == 0 or len(piece) == PIECE:
        piece = _read_range(path, start, PIECE)
        digest.update(piece)
        start += PIECE
    return digest.hexdigest()


def _read_range(path: "UPath", start: int, count: int) -> bytes:
    # Decoding processes import this module: without the client of object stores they start a quarter faster.
    from tasks.storage.remote_listing import read_range  # noqa: PLC0415

    return read_range(path, start, count)
