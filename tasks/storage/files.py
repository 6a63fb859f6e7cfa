"""Atomic publishing: a file or folder is there whole, or it is not there.

Everything is written to a temporary name in the folder where it is to live (`tasks.storage.tempfiles`), flushed to
the disk, and renamed. Of a data root on an object store the temporary file is in scratch, and is put on the store as
one step.
"""

import fnmatch
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.paths import AnyPath, is_remote, read_bytes
from tasks.progress import NullProgress, Progress
from tasks.storage import local_cache, object_store
from tasks.storage.errors import DamagedError
from tasks.storage.tempfiles import make_temporary


@contextmanager
def publishing(path: AnyPath) -> Iterator[Path]:
    """Write a file under a temporary name and publish it when the block ends without an exception.

    Args:
        path: Where the file is to be; folders above it are made. A file that is there already is replaced as one step.

    Yields:
        The temporary path, an empty file of this machine.
    """
    with make_temporary(path, folder=False) as temporary:
        yield temporary
        move_into_place(temporary, path)


@contextmanager
def publish_folder(path: AnyPath, progress: Progress | None = None) -> Iterator[Path]:
    """Fill a folder under a temporary name and publish it when the block ends without an exception.

    Where the folder is there already (another run was faster), that one stays and the new one is dropped; on an object
    store the new one's files take the place of the others. There the folder counts once all files are: ask `is_there`.

    Yields:
        The temporary path, an empty folder of this machine.
    """
    with make_temporary(path, folder=True) as temporary:
        yield temporary
        if is_remote(path):
            object_store.put_folder(temporary, path, progress or NullProgress())
            return
        for written in (*temporary.rglob("*"), temporary):
            flush(written)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        flush(path.parent)


def is_there(folder: AnyPath) -> bool:
    """Whether a folder is there that `publish_folder` publishes."""
    return object_store.mark(folder).exists() if is_remote(folder) else folder.is_dir()


def listed(folder: AnyPath, pattern: str = "*") -> list[AnyPath]:
    """What is directly in a folder and has a matching name, in the order of names; nothing where it is not there."""
    names = object_store.folder_names(folder) if is_remote(folder) else (path.name for path in folder.glob("*"))
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def is_folder(path: AnyPath) -> bool:
    """Whether a folder is there; on an object store, whether anything is in it."""
    return bool(object_store.folder_names(path)) if is_remote(path) else path.is_dir()


def local(path: AnyPath) -> Path:
    """A file or folder of the data root on this machine, for what reads nothing else; it is only read.

    Raises:
        FileNotFoundError: On the object store there is nothing.
    """
    return local_cache.local_copy(path) if is_remote(path) else path


def publish_bytes(path: AnyPath, data: bytes) -> None:
    """Publish a file of these bytes."""
    with publishing(path) as temporary:
        temporary.write_bytes(data)


def publish_json(path: AnyPath, value: object) -> None:
    """Publish a JSON file that people can read: indented, Unicode kept."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A path that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON's own notation for them.
    publish_bytes(path, text.encode(errors="backslashreplace"))


def remove_files(paths: Sequence[AnyPath]) -> None:
    """Remove files of one data root; those that are gone already are no harm."""
    object_store.remove([path for path in paths if is_remote(path)])
    for path in paths:
        if not is_remote(path):
            path.unlink(missing_ok=True)
            flush(path.parent)


def move(path: AnyPath, place: AnyPath) -> None:
    """Give a file or folder another place in its data root; on an object store it is copied first, then removed."""
    if is_remote(path) or is_remote(place):
        object_store.move(path, place)
        return
    place.parent.mkdir(exist_ok=True)
    path.rename(place)
    flush(place.parent)
    flush(path.parent)


def read_json(path: AnyPath) -> Any:
    """Read a JSON file of the data root.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as exc:
        raise DamagedError(path, f"{path} is damaged ({exc}). Delete it; the next run writes it again.") from exc


def move_into_place(temporary: Path, path: AnyPath) -> None:
    """Publish a temporary file of this machine under its name."""
    if is_remote(path):
        object_store.put(temporary, path)
        return
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def flush(path: AnyPath) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut; an object store sees to that itself."""
    if is_remote(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
