"""Files on an object store: put there whole as one step, fetched into scratch, listed once.

A store has no folders and no renaming: an object is there when its bytes have arrived, and not before. Whatever lies on
this machine for the sake of it is scratch, and is gone when the process ends.
"""

import atexit
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tasks.artifacts.keys import KEY_LENGTH
from tasks.paths import AnyPath, is_remote

if TYPE_CHECKING:
    from upath import UPath

#: Requests that are under way at once for many files.
AT_ONCE = 32
#: Of a file that is written at once. A larger one goes up in parts, and appears when the last one has arrived.
_PART = 64 * 2**20

#: What was fetched in this process, by address and version.
_fetched: dict[tuple[str, str], Path] = {}
#: This process's own scratch folder, by its process: a child makes one of its own.
_own: dict[int, Path] = {}


def scratch() -> Path:
    """The folder of this machine for files on their way to an object store or from it; it is made."""
    folder = Path(tempfile.gettempdir(), f"retrain-flowers-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def put(file: Path, path: "UPath") -> None:
    """Put a file on the store; it is there whole or not at all, and takes the place of what is there."""
    path.fs.put_file(str(file), path.path, chunksize=_PART)


def put_bytes(path: "UPath", data: bytes) -> None:
    """Put an object of these bytes."""
    path.fs.pipe_file(path.path, data)


def create(path: "UPath", data: bytes) -> bool:
    """Put an object only where there is none; returns whether there was none. Of several who try at once, one does."""
    try:
        path.fs.pipe_file(path.path, data, mode="create")
    except FileExistsError:
        return False
    except OSError:
        # Stores refuse it in words of their own.
        if path.fs.exists(path.path):
            return False
        raise
    return True


def put_folder(folder: Path, path: "UPath") -> None:
    """Put all files of a folder, then the mark that says that they are all there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [f"{path.path}/{file.relative_to(folder).as_posix()}" for file in files]
    if files:
        path.fs.put([str(file) for file in files], names, batch_size=AT_ONCE)
    put_bytes(mark(path), b"")


def mark(path: "UPath") -> "UPath":
    """The object that says that a folder was put there whole."""
    return path.with_name(f".{path.name}.whole")


def fetch(path: "UPath", to: Path) -> None:
    """Copy an object, or all below a folder, to this machine.

    Raises:
        FileNotFoundError: There is nothing.
    """
    prefix = f"{path.path}/"
    below = [name for name in path.fs.find(prefix) if name != prefix]
    if not below:
        path.fs.get_file(path.path, str(to))
        return
    targets = [str(to / name.removeprefix(prefix)) for name in below]
    path.fs.get(below, targets, batch_size=AT_ONCE)


def local_copy(path: "UPath") -> Path:
    """Fetch a file or folder into scratch, once as long as it stays the same; it is gone when the process ends.

    Raises:
        FileNotFoundError: There is nothing.
    """
    version = _version(path)
    known = (str(path), version)
    if known not in _fetched or not _fetched[known].exists():
        target = _own_scratch() / f"{secrets.token_hex(4)}-{version}" / path.name
        target.parent.mkdir()
        fetch(path, target)
        _fetched[known] = target
    return _fetched[known]


def fetch_nameless(path: "UPath") -> BinaryIO:
    """Fetch an object into a file of scratch that is gone when it is closed; it is at its start.

    Raises:
        FileNotFoundError: There is none.
    """
    copy = _own_scratch() / secrets.token_hex(6)
    try:
        path.fs.get_file(path.path, str(copy))
        return copy.open("rb")
    finally:
        copy.unlink(missing_ok=True)


def names_in(folder: "UPath") -> list[str]:
    """Names of what is directly in a folder, sorted: one request a thousand names; none where nothing is there."""
    try:
        found = folder.fs.ls(folder.path, detail=False, refresh=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = {name.rstrip("/").rpartition("/")[2] for name in found if name.rstrip("/") != folder.path.rstrip("/")}
    return sorted(names)


def move(path: AnyPath, place: AnyPath) -> None:
    """Give an object, or all below a folder, another place in the same store: copied there, then removed here."""
    if not is_remote(path) or not is_remote(place):
        raise TypeError(f"{path} and {place} are not in one store.")
    path.fs.mv(path.path, place.path, recursive=True)


def remove(paths: "Sequence[UPath]") -> None:
    """Remove objects; those that are gone already are no harm."""
    if paths:
        paths[0].fs.rm([path.path for path in paths])


def remove_below(path: "UPath") -> None:
    """Remove an object, or all below a folder, the mark of a folder first; what is not there is no harm."""
    names = [*path.fs.find(mark(path).path), *path.fs.find(path.path)]
    if names:
        path.fs.rm(names)


def _version(path: "UPath") -> str:
    """Tells what is at an address from what was there before."""
    found: dict[str, Any] = path.fs.find(path.path, detail=True)
    if not found:
        raise FileNotFoundError(f"There is no {path}")
    facts = [(name, info.get("ETag") or info.get("etag"), info.get("size")) for name, info in sorted(found.items())]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:KEY_LENGTH]


def _own_scratch() -> Path:
    """The folder of what this process has fetched; a lock tells sweepers that it lives."""
    process = os.getpid()
    if process not in _own:
        folder = scratch() / f".tmp-fetched-{secrets.token_hex(6)}"
        folder.mkdir()
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _own[process] = folder
        atexit.register(_clear, process, folder)
    return _own[process]


def _clear(process: int, folder: Path) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
