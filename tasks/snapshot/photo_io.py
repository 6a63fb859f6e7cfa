"""Opens photos' files, and nothing that would keep its reader waiting; reads photos wherever they are.

What the walk saw as a file may be a pipe by the time it is read. A pipe without a writer, a socket or a terminal gives
no bytes and no end either.
"""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

from tasks.paths import AnyPath, is_remote
from tasks.storage.remote_listing import read_range

#: Bytes of an object that are in memory at once: nearly all photos are fetched in one request.
PIECE = 64 * 2**20


def open_photo(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes; links to files are followed.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    descriptor = _open_regular(str(path))
    try:
        return open(descriptor, "rb")  # noqa: PTH123 (of a descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def read_head(path: str, most: int) -> bytes:
    """Read the first bytes of a file on this machine, in less than half the time of `open_photo`.

    Raises:
        OSError: As of `open_photo`.
    """
    descriptor = _open_regular(path)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def _open_regular(path: str) -> int:
    # Without O_NONBLOCK, to open a pipe is to wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_photo(path: AnyPath, most: int) -> bytes:
    """Read a photo's bytes; of an object in one request.

    Args:
        path: The file or object.
        most: How many bytes are wanted at most.

    Returns:
        Its bytes; of one that has more than `most` the first `most + 1`.

    Raises:
        OSError: As of `open_photo`; an object is missing, or may not be read.
        StoreUnreachableError: The object store cannot be had, so that nobody knows.
    """
    # Only a local path may be a pipe; the storage does not expect one in a data root.
    if is_remote(path):
        return read_range(path, 0, most + 1)
    with open_photo(path) as file:
        # No more is asked for than there is: a buffer of that size would be made first.
        return file.read(min(most, os.fstat(file.fileno()).st_size) + 1)


def photo_sha256(path: AnyPath) -> str:
    """Hash a photo's bytes in bounded memory; 64 lower-case hex digits.

    Raises:
        OSError: As of `read_photo`.
        StoreUnreachableError: Likewise.
    """
    if not is_remote(path):
        with open_photo(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    start = 0
    while piece := read_range(path, start, PIECE):
        digest.update(piece)
        start += len(piece)
        if len(piece) < PIECE:
            break
    return digest.hexdigest()
