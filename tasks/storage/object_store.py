"""Requests to an object store: upload, list, copy and remove objects.

An object store has no folders and no renaming. An object appears as one step when its last byte has arrived.
"""

import hashlib
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.concurrency import map_ordered
from tasks.keys import KEY_LENGTH
from tasks.storage.protocol import FolderListing

if TYPE_CHECKING:
    from upath import UPath

#: Parallel requests for many files.
PARALLEL_REQUESTS = 32
#: Parallel parts of a large upload, each of 50 MB in memory.
_PARTS = 4
#: Time limit of an upload: seconds, and bytes a second. A library may wait for ever to be allowed to send.
_TIMEOUT, _MIN_RATE = 180.0, 2**18
#: Attempts to create an object while the store does not say whether it existed.
_ATTEMPTS = 3
#: Name of the content type in each library; a browser needs it to show a page.
_CONTENT_TYPE = {"s3": "ContentType", "gs": "content_type"}
#: Objects that are no files: leases, and the marks of folders.
_INTERNAL = re.compile(r"\.(.+\.)?(lock|running|collecting|whole)")
#: Characters that the libraries take for wildcards when they remove many names at once.
_WILDCARDS = re.compile(r"[*?\[]")


def read_bytes(path: "UPath") -> bytes:
    """Read an object in one request; raises FileNotFoundError if it is missing."""
    # `UPath.read_bytes` asks for the size first, and fails if the object is replaced meanwhile.
    return bytes(path.fs.cat_file(path.path))


def put(temporary: Path, path: "UPath") -> None:
    """Upload a file as one step; it replaces an existing object."""
    kind = mimetypes.guess_type(path.name)[0]
    options = {_CONTENT_TYPE[path.protocol]: kind} if kind and path.protocol in _CONTENT_TYPE else {}
    path.fs.put_file(
        str(temporary),
        path.path,
        max_concurrency=_PARTS,
        timeout=_TIMEOUT + temporary.stat().st_size / _MIN_RATE,
        **options,
    )


def put_bytes(path: "UPath", data: bytes, timeout: float = _TIMEOUT) -> None:
    """Upload a small object, within `timeout` seconds or not at all."""
    path.fs.pipe_file(path.path, data, timeout=timeout)


def create(path: "UPath", data: bytes) -> bool:
    """Create an object unless it exists, and return whether it did not; of several processes at once, one succeeds.

    Args:
        path: The object.
        data: Bytes that no other process writes there: an answer may be lost, and the next attempt find them.
    """
    for attempt in range(_ATTEMPTS):
        try:
            path.fs.pipe_file(path.path, data, mode="create", timeout=_TIMEOUT)
        except TimeoutError:
            raise
        except OSError:
            # Stores refuse with errors of their own; some refuse two that try at once although neither has succeeded.
            with suppress(FileNotFoundError):
                return read_bytes(path) == data
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    return True


def list_folder(folder: "UPath") -> FolderListing:
    """List a folder in one request a thousand names; empty if nothing is in it."""
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


def is_internal(path: str) -> bool:
    """Whether an object is no file, but a lease or the mark of a folder."""
    return any(map(_INTERNAL.fullmatch, path.split("/")))


def remove(paths: "Sequence[UPath]") -> None:
    """Remove objects; missing ones are ignored."""
    if paths:
        remove_names(paths[0], [path.path for path in paths])


def remove_names(path: "UPath", names: Sequence[str]) -> None:
    """Remove objects; missing ones are ignored. Many take one request.

    Args:
        path: Any path of the same store.
        names: Their names, each with its bucket.

    Raises:
        PermissionError: They may not be removed.
    """
    at_once = [name for name in names if not _WILDCARDS.search(name)] if len(names) > PARALLEL_REQUESTS else []

    def remove_one(name: str) -> None:
        with suppress(FileNotFoundError):
            path.fs.rm_file(name)

    for _ in map_ordered(remove_one, sorted({*names}.difference(at_once)), PARALLEL_REQUESTS):
        pass
    if at_once:
        path.fs.rm(at_once)
        # The S3 library drops the errors of single objects.
        if path.fs.exists(at_once[0]):
            raise PermissionError(f"{at_once[0]} may not be removed")


def version_in(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Text that changes with any of the objects that `found_at` found."""
    facts = [(name, info.get("ETag") or info.get("etag"), info.get("size")) for name, info in sorted(found.items())]
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:KEY_LENGTH]


def found_at(path: "UPath") -> dict[str, Mapping[str, Any]]:
    """Facts about an object, or all objects below a folder, by name; raises FileNotFoundError if there are none."""
    info: Mapping[str, Any] = path.fs.info(path.path)
    if info["type"] != "directory":
        return {path.path: info}
    prefix = f"{path.path.rstrip('/')}/"
    found = path.fs.find(path.path, detail=True)
    # An object whose name ends with a slash only shows a folder.
    below = {name: one for name, one in found.items() if name.startswith(prefix) and not name.endswith("/")}
    if not below:
        raise FileNotFoundError(f"There is no {path}")
    return below
