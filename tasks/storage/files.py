"""Atomic publishing: a file or folder exists completely, or not at all.

Everything is written to a temporary name first. On this machine that is beside the final name, and is flushed to the
disk and renamed. For an object store it is in scratch, and is uploaded as one step.
"""

import fnmatch
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tasks.concurrency import map_ordered
from tasks.paths import AnyPath, is_remote
from tasks.progress import NullProgress, Progress
from tasks.storage.errors import DamagedError
from tasks.storage.local import LocalStorage
from tasks.storage.object_store import PARALLEL_REQUESTS
from tasks.storage.protocol import Storage
from tasks.storage.remote import RemoteStorage
from tasks.storage.tempfiles import make_temporary, sweep_folder

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")

_LOCAL: Storage = LocalStorage()
_REMOTE: Storage = RemoteStorage()


def storage_at(path: AnyPath) -> Storage:
    """Choose the storage of a path: of this machine, or of object stores. A dataset may be in the other one."""
    return _REMOTE if is_remote(path) else _LOCAL


@contextmanager
def publishing(path: AnyPath) -> Iterator[Path]:
    """Write a file under a temporary name and publish it when the block ends without an exception.

    The block gets an empty local file. Folders above the path are made; an existing file is replaced as one step.
    """
    with temporary_file(path) as temporary:
        yield temporary
        storage_at(path).put_file(temporary, path)


def temporary_file(path: AnyPath) -> AbstractContextManager[Path]:
    """Yield an empty temporary file for a file to publish; it is removed at the end if it still exists."""
    return make_temporary(storage_at(path).scratch_for(path.parent) / path.name, folder=False)


@contextmanager
def publish_folder(path: AnyPath, progress: Progress | None = None, last: str = "") -> Iterator[Path]:
    """Fill a folder under a temporary name and publish it when the block ends without an exception.

    The block gets an empty local folder. If another run was faster, its folder stays and the new one is dropped; on an
    object store the new files replace the others, and the folder counts once all are uploaded: `is_there` tells.
    Programs that ask for a file instead are given that file `last`, if there is one.
    """
    storage = storage_at(path)
    with make_temporary(storage.scratch_for(path.parent) / path.name, folder=True) as temporary:
        yield temporary
        storage.put_folder(temporary, path, progress or NullProgress(), last)


def publish_bytes(path: AnyPath, data: bytes) -> None:
    """Publish a file of these bytes."""
    with publishing(path) as temporary:
        temporary.write_bytes(data)


def publish_json(path: AnyPath, value: object) -> None:
    """Publish a JSON file that people can read: indented, Unicode kept."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A path that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON's own notation for them.
    publish_bytes(path, text.encode(errors="backslashreplace"))


def read_bytes(path: AnyPath) -> bytes:
    """Read a whole file; see `Storage.read_bytes`."""
    return storage_at(path).read_bytes(path)


def read_json(path: AnyPath) -> Any:
    """Read a JSON file of the data root.

    Raises:
        FileNotFoundError: The file is missing.
        DamagedError: The file is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as exc:
        raise DamagedError(path, f"{path} is damaged ({exc}). Delete it; the next run writes it again.") from exc


def listed(folder: AnyPath, pattern: str = "*") -> list[AnyPath]:
    """List the entries of a folder whose names match, in the order of names; empty if the folder is missing."""
    folders, files = storage_at(folder).list_folder(folder)
    return [folder / name for name in sorted(fnmatch.filter({*folders, *files}, pattern))]


def is_folder(path: AnyPath) -> bool:
    """Whether a folder exists; on an object store, whether anything is in it."""
    return storage_at(path).is_folder(path)


def is_there(folder: AnyPath) -> bool:
    """Whether a folder that `publish_folder` publishes is complete."""
    return storage_at(folder).is_there(folder)


def local(path: AnyPath) -> Path:
    """Return a local file or folder to read; see `Storage.local`."""
    return storage_at(path).local(path)


def read_each(read: Callable[[ItemT], ReadT], items: Iterable[ItemT], root: AnyPath) -> Iterator[ReadT]:
    """Call a function that reads below a data root on each item, in threads if reads are requests; in order."""
    return map_ordered(read, items, PARALLEL_REQUESTS) if storage_at(root).reads_are_requests else map(read, items)


def lock_folder(folder: AnyPath) -> AbstractContextManager[None]:
    """Hold the exclusive lock of a folder during the block; report once when it has to be waited for."""
    return storage_at(folder).lock_folder(folder)


def sweep(folder: AnyPath) -> None:
    """Remove temporary files that crashed writers left for a folder; see `sweep_folder`."""
    sweep_folder(storage_at(folder).scratch_for(folder))
