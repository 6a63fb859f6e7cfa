"""Files on an object store: put there whole as one step, fetched into scratch, listed once.

A store has no folders and no renaming: an object is there when its bytes have arrived, and not before. Whatever lies on
this machine for the sake of it is scratch, and is gone when the process ends.
"""

import fcntl
import hashlib
import json
import mimetypes
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tasks.artifacts.keys import KEY_LENGTH
from tasks.artifacts.leaving import at_exit
from tasks.errors import MachineError
from tasks.paths import AnyPath, is_remote
from tasks.progress import Progress
from tasks.threads import in_threads

if TYPE_CHECKING:
    from upath import UPath

#: Requests that are under way at once for many files.
AT_ONCE = 32
#: Parts of a large file that go up at once, each of 50 MB in memory; it appears when the last one has arrived.
_PARTS = 4
#: Bytes of a folder's files that go up at once, unless it is one alone.
_UNDER_WAY = 2**28
#: Seconds for what is put on a store, and bytes a second beside. A library may wait for ever for leave to send a file.
_PATIENCE, _SLOWEST = 180.0, 2**18
#: Attempts to create an object where a store does not say whether it was there.
_TRIES = 3

#: What a store's library calls the kind of an object, by which a browser knows that it is a page.
_KIND = {"s3": "ContentType", "gs": "content_type"}

#: What is there for the sake of other objects: leases, and the marks of folders.
_AID = re.compile(r"\.(.+\.)?(lock|running|collecting|whole)")

#: Signs in a name that a store's library takes for any others, where it is given many names at once.
_SIGNS = re.compile(r"[*?\[]")

#: What was fetched in this process, by address and version.
_fetched: dict[tuple[str, str], Path] = {}
#: This process's own scratch folder, by its process: a child makes one of its own.
_own: dict[int, Path] = {}


def scratch() -> Path:
    """The folder of this machine for files on their way to an object store or from it; it is made."""
    folder = Path(tempfile.gettempdir(), f"retrain-flowers-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What is fetched there is trusted as the store itself is.
    if folder.stat().st_uid != os.getuid():
        raise MachineError(f"{folder} belongs to another user. Set TMPDIR to a folder of your own, and run again.")
    return folder


def put(file: Path, path: "UPath") -> None:
    """Put a file on the store; it is there whole or not at all, and takes the place of what is there."""
    kind = mimetypes.guess_type(path.name)[0]
    told = {_KIND[path.protocol]: kind} if kind and path.protocol in _KIND else {}
    path.fs.put_file(
        str(file), path.path, max_concurrency=_PARTS, timeout=_PATIENCE + file.stat().st_size / _SLOWEST, **told
    )


def get_bytes(path: "UPath") -> bytes:
    """Read a small object, in one request.

    Raises:
        FileNotFoundError: There is none.
    """
    # Else the size is asked for first, so that a large one is read in parts.
    alone = {"max_concurrency": 1} if hasattr(path.fs, "call_s3") else {}
    return bytes(path.fs.cat_file(path.path, **alone))


def put_bytes(path: "UPath", data: bytes, timeout: float = _PATIENCE) -> None:
    """Put a small object of these bytes, in so many seconds or not at all."""
    path.fs.pipe_file(path.path, data, timeout=timeout)


def create(path: "UPath", data: bytes) -> bool:
    """Put an object only where there is none; of several who try at once, one does.

    Args:
        path: The object.
        data: What no other one writes there.

    Returns:
        Whether it was put. An answer may be lost, and the next attempt find what the one before has put.
    """
    for attempt in range(_TRIES):
        try:
            path.fs.pipe_file(path.path, data, mode="create", timeout=_PATIENCE)
        except OSError:
            # Stores refuse it in words of their own; some do where two try at once and neither has.
            with suppress(FileNotFoundError):
                return get_bytes(path) == data
            if attempt == _TRIES - 1:
                raise
        else:
            break
    return True


def put_folder(folder: Path, path: "UPath", progress: Progress) -> None:
    """Put all files of a folder, many at once, then the mark that says that they are all there."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    progress.start(len(files), "files")

    def put_one(file: Path) -> None:
        put(file, path / file.relative_to(folder).as_posix())

    for _ in in_threads(put_one, files, AT_ONCE, lambda file: file.stat().st_size, _UNDER_WAY):
        progress.advance(1)
    put_bytes(mark(path), b"")


def mark(path: "UPath") -> "UPath":
    """The object that says that a folder was put there whole."""
    return path.with_name(f".{path.name}.whole")


def fetch(path: "UPath", to: Path) -> None:
    """Copy an object, or all below a folder, to this machine.

    Raises:
        FileNotFoundError: There is nothing.
    """
    _fetch(path, to, _found(path))


def local_copy(path: "UPath") -> Path:
    """Fetch a file or folder into scratch, once as long as it stays the same; it is gone when the process ends.

    Raises:
        FileNotFoundError: There is nothing.
    """
    found = _found(path)
    now = _version(found)
    known = (str(path), now)
    if known not in _fetched or not _fetched[known].exists():
        target = _own_scratch() / f"{secrets.token_hex(4)}-{now}" / path.name
        target.parent.mkdir()
        _fetch(path, target, found)
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


def is_aid(path: str) -> bool:
    """Whether an object is there for the sake of others: a lease, or the mark of a folder."""
    return any(map(_AID.fullmatch, path.split("/")))


def move(path: AnyPath, place: AnyPath) -> None:
    """Give an object, or all below a folder, another place in the same store: copied there, then removed here.

    Of a folder its mark goes first, and is not put there: it counts in neither place.
    """
    if not is_remote(path) or not is_remote(place):
        raise TypeError(f"{path} and {place} are not in one store.")
    # Not `mv`: it would copy the folder too, which is no object.
    names = list(_found(path))
    if names != [path.path]:
        _remove(path, [mark(path).path])
    path.fs.copy(names, [place.path + name.removeprefix(path.path) for name in names], batch_size=AT_ONCE)
    _remove(path, names)


def remove(paths: "Sequence[UPath]") -> None:
    """Remove objects; those that are gone already are no harm."""
    if paths:
        _remove(paths[0], [path.path for path in paths])


def remove_below(folder: "UPath", names: Iterable[str] | None = None) -> None:
    """Remove all below a folder, its mark first; what is not there is no harm.

    Args:
        folder: It.
        names: What is below it, by names relative to it; None finds it.
    """
    _remove(folder, [mark(folder).path])
    if names is None:
        _remove(folder, folder.fs.find(folder.path))
    else:
        _remove(folder, [f"{folder.path}/{name}" for name in names])


def _remove(path: "UPath", names: Sequence[str]) -> None:
    """Remove objects by their names; many at once are one request.

    Raises:
        PermissionError: They may not be removed.
    """
    # To a store's library some signs in a name stand for any others.
    at_once = [name for name in names if not _SIGNS.search(name)] if len(names) > AT_ONCE else []

    def remove_one(name: str) -> None:
        with suppress(FileNotFoundError):
            path.fs.rm_file(name)

    for _ in in_threads(remove_one, sorted({*names}.difference(at_once)), AT_ONCE):
        pass
    if at_once:
        path.fs.rm(at_once)
        # S3's library keeps to itself what the store says of each.
        if path.fs.exists(at_once[0]):
            raise PermissionError(f"{at_once[0]} may not be removed")


def version(path: "UPath") -> str:
    """Tells what is at an address from what was there before.

    Raises:
        FileNotFoundError: There is nothing.
    """
    return _version(_found(path))


def _version(found: Mapping[str, Mapping[str, Any]]) -> str:
    facts = [(name, info.get("ETag") or info.get("etag"), info.get("size")) for name, info in sorted(found.items())]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:KEY_LENGTH]


def _found(path: "UPath") -> dict[str, Mapping[str, Any]]:
    """What a store says of an object, or of all below a folder, by their names."""
    info: Mapping[str, Any] = path.fs.info(path.path)
    if info["type"] != "directory":
        return {path.path: info}
    prefix = _prefix(path)
    found = path.fs.find(path.path, detail=True)
    # An object whose name ends with a stroke only shows a folder.
    below = {name: one for name, one in found.items() if name.startswith(prefix) and not name.endswith("/")}
    if not below:
        raise FileNotFoundError(f"There is no {path}")
    return below


def _prefix(path: "UPath") -> str:
    return f"{path.path.rstrip('/')}/"


def _fetch(path: "UPath", to: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    if found.keys() == {path.path}:
        path.fs.get_file(path.path, str(to))
        return
    targets = [str(to / name.removeprefix(_prefix(path))) for name in found]
    path.fs.get(list(found), targets, batch_size=AT_ONCE)


def _own_scratch() -> Path:
    """The folder of what this process has fetched; a lock tells sweepers that it lives."""
    process = os.getpid()
    # Whoever clears up the machine may have removed it.
    while process not in _own or not _own[process].exists():
        folder = scratch() / f".tmp-fetched-{secrets.token_hex(6)}"
        folder.mkdir()
        at_exit(partial(shutil.rmtree, folder, ignore_errors=True))
        # A sweep between making and locking takes it for a leftover.
        with suppress(FileNotFoundError):
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
            _own[process] = folder
    return _own[process]
