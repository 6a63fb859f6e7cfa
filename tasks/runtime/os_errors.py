"""Recognises failures of the machine in the exceptions of libraries: a disk, memory, or an object store.

Python and pyarrow raise an OSError with its number; TensorFlow and h5py only quote the system's message in exceptions
of their own; C++ libraries report `bad_alloc`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import MachineError, PipelineError, SettingError, StoreError
from tasks.paths import AnyPath, is_remote

#: Errors of disks, and their remedies.
_DISK = {
    errno.ENOSPC: "Make room",
    errno.EDQUOT: "Make room",
    errno.EFBIG: "Let files be larger (ulimit -f)",
    errno.EROFS: "Make it writable",
    errno.EIO: "Check the disk",
    errno.EMFILE: "Let more files be open at once (ulimit -n)",
    errno.ENFILE: "Let more files be open at once",
}
#: Errors of rights; in a library's message they may be about anything else.
_RIGHTS = {errno.EACCES: "Mend the folder's rights", errno.EPERM: "Mend the folder's rights"}
_DISK_MESSAGES = {os.strerror(number): number for number in _DISK}
#: Libraries that access object stores; their exceptions are about the store, the network or the credentials.
_STORE_LIBRARIES = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google"}
#: Their names for a missing bucket.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_NO_TEMPORARY = "No usable temporary directory"
_NO_MEMORY = (os.strerror(errno.ENOMEM), "bad_alloc", "OOM when", "failed to allocate memory", "start new thread")


@contextmanager
def explain_os_errors(actor: str, root: AnyPath) -> Iterator[None]:
    """Raise an error for the user if the block fails because of the machine or of changes to the data root.

    Args:
        actor: Subject of the error's message, such as "The stage decode".
        root: The data root.

    Raises:
        MachineError: A disk is full, read-only or broken, memory is short, or an object store cannot be used.
        StoreError: A file of the data root has vanished.
        SettingError: The data root is not a folder.
    """
    try:
        yield
    except MachineError:
        raise
    except Exception as exc:
        error = _explain(exc, actor, root)
        if error is None:
            raise
        raise error from exc


def explain_store_error(exc: BaseException) -> MachineError | None:
    """Return an error for the user if an exception was caused by an object store that cannot be used, else None.

    A missing object is no failure of the store; a missing bucket is.
    """
    for cause in exception_chain(exc):
        if type(cause).__module__.partition(".")[0] in _STORE_LIBRARIES:
            message = next(iter(f"{cause}".splitlines()), type(cause).__name__)
            reason = "it does not answer" if isinstance(cause, TimeoutError) else message
            return MachineError(
                f"The object store cannot be used ({reason}). Check its address, the credentials and the network, and "
                "run again; published results are kept."
            )
        if isinstance(cause, FileNotFoundError) and not any(name in f"{cause.__cause__}" for name in _NO_BUCKET):
            return None
    return None


def _explain(exc: Exception, actor: str, root: AnyPath) -> PipelineError | None:
    if error := explain_store_error(exc):
        return error
    numbers = _DISK if isinstance(exc, PipelineError) else {**_DISK, **_RIGHTS}
    chain = list(exception_chain(exc))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in numbers:
            return _disk_error(actor, cause.filename or root, os.strerror(cause.errno), numbers[cause.errno])
    if isinstance(exc, PipelineError):
        return None
    for cause in chain:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return _memory_error(actor, cause)
    return _explain_message(exc, actor, root)


def _explain_message(exc: Exception, actor: str, root: AnyPath) -> PipelineError | None:
    message = str(exc)
    for quoted, number in _DISK_MESSAGES.items():
        if quoted in message:
            return _disk_error(actor, root, quoted, _DISK[number])
    if any(quoted in message for quoted in _NO_MEMORY):
        return _memory_error(actor, exc)
    if _NO_TEMPORARY in message:
        return _disk_error(actor, os.environ.get("TMPDIR", "/tmp"), "there is no room for temporary files", "Make room")  # noqa: S108 (Python's own)
    # The layers below the storage cannot ask it.
    if not is_remote(root) and (file := next((path for path in (root, *root.parents) if path.is_file()), None)):
        return SettingError(f"The data root {root} cannot be a folder: {file} is a file. Give another --data-root.")
    # TensorFlow's message names the file before a semicolon, Python's in quotation marks.
    gone = re.search(rf"{re.escape(str(root))}[^;'\n]*", message)
    if gone and os.strerror(errno.ENOENT) in message:
        return StoreError(f"{actor} misses {gone[0]}, which somebody removed meanwhile. Run again; it is made anew.")
    return None


def _disk_error(actor: str, path: object, reason: str, remedy: str) -> MachineError:
    return MachineError(
        f"{actor} cannot read or write {path} ({reason}). {remedy}, and run again; published results are kept."
    )


def _memory_error(actor: str, exc: BaseException) -> MachineError:
    message = next(iter(f"{exc}".splitlines()), type(exc).__name__)
    return MachineError(
        f"{actor} has run out of memory ({message}). End other programs, give a smaller "
        "--batch-size, or take a machine with more; published results are kept."
    )


def exception_chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception and the exceptions that led to it; of a `PipelineError` only its explicit causes."""
    following: BaseException | None = exc
    while following is not None:
        yield following
        plain = isinstance(following, PipelineError) or following.__suppress_context__
        following = following.__cause__ or (None if plain else following.__context__)
