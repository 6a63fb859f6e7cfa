"""Files on an object store: put there whole as one step, listed once, moved and removed.

A store has no folders and no renaming: an object is there when its bytes have arrived, and not before.
"""

import hashlib
import json
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.concurrency import map_ordered
from tasks.keys import KEY_LENGTH
from tasks.paths import AnyPath, is_remote, read_bytes
from tasks.progress import Progress

if TYPE_CHECKING:
    from upath import UPath

#: Requests that are under way at once for many files.
AT_ONCE = 32
#: Parts of a large file that go up at once, each of 50 MB in memory; it appears when the last one has arrived.
_PARTS = 4
#: Bytes of a folder's files that go up at once, unless it is one alone.
_UNDER_WAY = 2**28
#: Seconds for what is put, and bytes a second beside. A library may wait for ever for leave to send a file.
_PATIENCE, _SLOWEST = 180.0, 2**18
#: Attempts to create an object where a store does not say whether it was there.
_TRIES = 3

#: What a store's library calls the kind of an object, by which a browser knows that it is a page.
_KIND = {"s3": "ContentType", "gs": "content_type"}

#: What is there for the sake of other objects: leases, and the marks of folders.
_AID = re.compile(r"\.(.+\.)?(lock|running|collecting|whole)")

#: Signs in a name that a store's library takes for any others, where it is given many names at once.
_SIGNS = re.compile(r"[*?\[]")


def put(file: Path, path: "UPath") -> None:
    """Put a file on the store; it is there whole or not at all, and takes the place of what is there."""
    kind = mimetypes.guess_type(path.name)[0]
    told = {_KIND[path.protocol]: kind} if kind and path.protocol in _KIND else {}
    path.fs.put_file(
        str(file), path.path, max_concurrency=_PARTS, timeout=_PATIENCE + file.stat().st_size / _SLOWEST, **told
    )


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
        except TimeoutError:
            raise
        except OSError:
            # Stores refuse it in words of their own; some do where two try at once and neither has.
            with suppress(FileNotFoundError):
                return read_bytes(path) == data
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

    for _ in map_ordered(put_one, files, AT_ONCE, lambda file: file.stat().st_size, _UNDER_WAY):
        progress.advance(1)
    put_bytes(mark(path), b"")


def mark(path: "UPath") -> "UPath":
    """The object that says that a folder was put there whole."""
    return path.with_name(f".{path.name}.whole")


class FolderListing(NamedTuple):
    """What is directly in a folder.

    Args:
        folders: Names of the folders.
        files: Names of the files.
    """

    folders: list[str]
    files: list[str]


def list_folder(folder: "UPath") -> FolderListing:
    """Names of what is directly in a folder: one request a thousand names; none where nothing is there."""
    try:
        found = folder.fs.ls(folder.path, detail=True, refresh=True)
    except (FileNotFoundError, NotADirectoryError):
        found = []
    names = FolderListing([], [])
    for info in found:
        name = info["name"].strip("/").removeprefix(folder.path.strip("/")).strip("/")
        if name:
            (names.folders if info["type"] == "directory" else names.files).append(name)
    return names


def folder_names(folder: "UPath") -> list[str]:
    """The same, files and folders together, each name once and sorted."""
    names = list_folder(folder)
    return sorted({*names.folders, *names.files})


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
    names = list(found_at(path))
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

    for _ in map_ordered(remove_one, sorted({*names}.difference(at_once)), AT_ONCE):
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
    return version_in(found_at(path))


def version_in(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Tells what `found_at` found from what was there before."""
    facts = [(name, info.get("ETag") or info.get("etag"), info.get("size")) for name, info in sorted(found.items())]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:KEY_LENGTH]


def found_at(path: "UPath") -> dict[str, Mapping[str, Any]]:
    """What a store says of an object, or of all below a folder, by their names."""
    info: Mapping[str, Any] = path.fs.info(path.path)
    if info["type"] != "directory":
        return {path.path: info}
    prefix = prefix_of(path)
    found = path.fs.find(path.path, detail=True)
    # An object whose name ends with a stroke only shows a folder.
    below = {name: one for name, one in found.items() if name.startswith(prefix) and not name.endswith("/")}
    if not below:
        raise FileNotFoundError(f"There is no {path}")
    return below


def prefix_of(path: "UPath") -> str:
    """How the names of all objects below a folder begin."""
    return f"{path.path.rstrip('/')}/"
