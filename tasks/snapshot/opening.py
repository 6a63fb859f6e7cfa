"""Opens photos' files, and nothing that would keep its reader waiting.

What the walk saw as a file may be a pipe by the time it is read. A pipe without a writer, a socket or a terminal gives
no bytes and no end either.
"""

import errno
import hashlib
import io
import os
import stat
from pathlib import Path


def open_photo(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes; links to files are followed.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    # Without O_NONBLOCK, to open a pipe is to wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return open(descriptor, "rb")  # noqa: PTH123 (of a descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def photo_sha256(path: Path) -> str:
    """Hash a photo's bytes in bounded memory; 64 lower-case hex digits.

    Raises:
        OSError: As of `open_photo`.
    """
    with open_photo(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
