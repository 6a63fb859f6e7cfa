"""Recognises what is the machine's fault in whatever a library raises of it: a disk, or memory that is short.

Python and pyarrow raise an OSError with its number; TensorFlow and h5py only repeat the system's words, each in an
exception of its own; a C++ library says `bad_alloc`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import MachineError, PipelineError, SettingError, StoreError
from tasks.paths import AnyPath, is_remote

#: What a disk does, and what to do about it.
_DISK = {
    errno.ENOSPC: "Make room",
    errno.EDQUOT: "Make room",
    errno.EFBIG: "Let files be larger (ulimit -f)",
    errno.EROFS: "Make it writable",
    errno.EIO: "Check the disk",
    errno.EMFILE: "Let more files be open at once (ulimit -n)",
    errno.ENFILE: "Let more files be open at once",
}
#: What a folder's rights do; in a library's words they may be about anything.
_RIGHTS = {errno.EACCES: "Mend the folder's rights", errno.EPERM: "Mend the folder's rights"}
_WORDS = {os.strerror(number): number for number in _DISK}
#: Libraries that reach object stores: what they raise is about the store, the way to it, or the credentials.
_STORE_LIBRARIES = {"adlfs", "aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "google"}
#: How they tell that there is no such bucket.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_NO_TEMPORARY = "No usable temporary directory"
_NO_MEMORY = (os.strerror(errno.ENOMEM), "bad_alloc", "OOM when", "failed to allocate memory", "start new thread")


@contextmanager
def explain_os_errors(who: str, root: AnyPath) -> Iterator[None]:
    """Say in a sentence where the block fails because of the machine, or of what became of the data root meanwhile.

    Args:
        who: What is at work, as the subject of the sentence.
        root: The data root.

    Raises:
        MachineError: A disk is full, read-only or broken, or memory is short.
        StoreError: Something of the data root has vanished.
        SettingError: The data root is no folder.
    """
    try:
        yield
    except MachineError:
        raise
    except Exception as exc:
        error = _explain(exc, who, root)
        if error is None:
            raise
        raise error from exc


def explain_store_error(exc: BaseException) -> MachineError | None:
    """Say in a sentence that an object store cannot be used, where that is what an exception came of.

    That something is not there is nothing wrong with the store, unless it is the bucket.
    """
    for cause in exception_chain(exc):
        if type(cause).__module__.partition(".")[0] in _STORE_LIBRARIES:
            told = next(iter(f"{cause}".splitlines()), type(cause).__name__)
            why = "it does not answer" if isinstance(cause, TimeoutError) else told
            return MachineError(
                f"The object store cannot be used ({why}). Check its address, the credentials and the network, and run "
                "again; what was published is kept."
            )
        if isinstance(cause, FileNotFoundError) and not any(told in f"{cause.__cause__}" for told in _NO_BUCKET):
            return None
    return None


def _explain(exc: Exception, who: str, root: AnyPath) -> PipelineError | None:
    if error := explain_store_error(exc):
        return error
    numbers = _DISK if isinstance(exc, PipelineError) else {**_DISK, **_RIGHTS}
    chain = list(exception_chain(exc))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in numbers:
            return _disk(who, cause.filename or root, os.strerror(cause.errno), numbers[cause.errno])
    if isinstance(exc, PipelineError):
        return None
    for cause in chain:
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM):
            return _memory(who, cause)
    return _explain_words(exc, who, root)


def _explain_words(exc: Exception, who: str, root: AnyPath) -> PipelineError | None:
    words = str(exc)
    for told, number in _WORDS.items():
        if told in words:
            return _disk(who, root, told, _DISK[number])
    if any(told in words for told in _NO_MEMORY):
        return _memory(who, exc)
    if _NO_TEMPORARY in words:
        return _disk(who, os.environ.get("TMPDIR", "/tmp"), "there is no room for temporary files", "Make room")  # noqa: S108 (Python's own)
    # The layers below the storage cannot ask it.
    if not is_remote(root) and (file := next((place for place in (root, *root.parents) if place.is_file()), None)):
        return SettingError(f"The data root {root} cannot be a folder: {file} is a file. Give another --data-root.")
    # The words name the file, TensorFlow's before a semicolon, Python's in quotation marks.
    gone = re.search(rf"{re.escape(str(root))}[^;'\n]*", words)
    if gone and os.strerror(errno.ENOENT) in words:
        return StoreError(f"{who} misses {gone[0]}, which somebody removed meanwhile. Run again; it is made anew.")
    return None


def _disk(who: str, where: object, why: str, remedy: str) -> MachineError:
    return MachineError(
        f"{who} cannot read or write {where} ({why}). {remedy}, and run again; what was published is kept."
    )


def _memory(who: str, exc: BaseException) -> MachineError:
    told = f"{exc}".splitlines()
    return MachineError(
        f"{who} has run out of memory ({told[0] if told else type(exc).__name__}). End other programs, give a smaller "
        "--batch-size, or take a machine with more; what was published is kept."
    )


def exception_chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it; of a sentence for the user only what it was made of."""
    following: BaseException | None = exc
    while following is not None:
        yield following
        plain = isinstance(following, PipelineError) or following.__suppress_context__
        following = following.__cause__ or (None if plain else following.__context__)
