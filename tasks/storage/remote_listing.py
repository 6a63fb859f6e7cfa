"""What lies on an object store and is not ours, such as a dataset's photos: listed in one go, and read.

Whoever reads it learns what an object of its own is (there is none, it may not be read) by an OSError, and that the
store itself cannot be had by a `StoreUnreachableError`: then none of its objects is gone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.errors import MachineError
from tasks.runtime.os_errors import explain_store_error
from tasks.storage import object_store

if TYPE_CHECKING:
    from upath import UPath

#: Requests for objects that are under way at once.
AT_ONCE = object_store.AT_ONCE
#: What the stores' libraries raise where a connection breaks off in the middle of an object. They begin again on their
#: own only as long as nothing has come.
_BROKEN_OFF = {"AioReadTimeoutError", "ClientPayloadError", "IncompleteReadError", "ResponseStreamingError"}
#: Seconds before each new attempt.
_PAUSES = (0.5, 2.0, 8.0)
#: Refusals that are about one object: its rights, or that it is in an archive. Others are about whoever asks.
_OF_ONE_OBJECT = {"403", "AccessDenied", "AllAccessDisabled", "InvalidObjectState"}
#: Facts about an object, by the names that the libraries of the stores have for them.
_TAG, _VERSION = ("ETag", "etag", "md5Hash"), ("VersionId", "version_id", "generation")
_WRITTEN = ("LastModified", "last_modified", "mtime")


class StoreUnreachableError(MachineError):
    """An object store cannot be had, or one of its buckets.

    Args:
        address: What was asked for.
        why: Why not, in a few words.
    """

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address, self.why = address, why

    def __str__(self) -> str:
        return (
            f"{self.address} cannot be read ({self.why}). Check the address, the credentials and the network, and run "
            "again; what was published is kept."
        )


class RemoteFile(NamedTuple):
    """An object below a folder.

    Args:
        path: Its name relative to the folder: empty, or with a `/` at its end, where it only shows a folder.
        size: Bytes.
        modified: When it was written, in seconds since 1970; stores tell whole ones.
        version: Tells it from what was at its address before: its ETag, its version where the store keeps several, and
            when it was written, as the store says them.
    """

    path: str
    size: int
    modified: int
    version: str


def version_of(path: "UPath") -> str:
    """Tells what is at an address, an object or all below a folder, from what was there before; empty where nothing is.

    Raises:
        StoreUnreachableError: The store cannot be had.
    """
    with _telling(path):
        try:
            return object_store.version(path)
        except FileNotFoundError:
            return ""


def objects_below(folder: "UPath") -> Iterator[RemoteFile]:
    """List all objects below a folder, in any order: one request a thousand, nothing but a page of them in memory.

    Raises:
        StoreUnreachableError: The store cannot be had, there is no such bucket, or it does not let us list it.
    """
    bucket, _, key = folder.path.strip("/").partition("/")
    start = f"{bucket}/{key}/" if key else f"{bucket}/"
    try:
        with _telling(folder):
            for name, info in _listed(folder, bucket, f"{key}/" if key else ""):
                # A store's library lists the object itself where there is nothing below it.
                if name.startswith(start):
                    size = int(info.get("size") or info.get("Size") or 0)
                    yield RemoteFile(name.removeprefix(start), size, _modified(info), _version(info))
    except OSError as exc:
        raise _away(folder, exc) from None


def read_range(path: "UPath", start: int, count: int) -> bytes:
    """Read up to `count` bytes of an object from a place on; fewer or none where it ends before. One request.

    Raises:
        FileNotFoundError: There is no such object.
        PermissionError: It may not be read.
        StoreUnreachableError: The store cannot be had.
    """
    pauses = iter(_PAUSES)
    with _telling(path):
        while True:
            try:
                return bytes(path.fs.cat_file(path.path, start=start, end=start + count))
            except (FileNotFoundError, PermissionError):
                raise
            except OSError:
                # A store refuses to give a range of nothing.
                if path.fs.size(path.path) <= start:
                    return b""
                raise
            except Exception as exc:
                pause = next(pauses, None) if type(exc).__name__ in _BROKEN_OFF else None
                if pause is None:
                    raise
            time.sleep(pause)


def _listed(folder: "UPath", bucket: str, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and facts of each object; of S3 page by page, since a million of them would take a GB."""
    if not hasattr(folder.fs, "call_s3"):
        yield from folder.fs.find(folder.path, detail=True).items()
        return
    further: dict[str, str] = {}
    while True:
        page = folder.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **further)
        for info in page.get("Contents", ()):
            yield f"{bucket}/{info['Key']}", info
        if not page.get("IsTruncated"):
            return
        further = {"ContinuationToken": page["NextContinuationToken"]}


def _modified(info: Mapping[str, Any]) -> int:
    written = _first(info, _WRITTEN)
    return int(written.timestamp()) if written is not None else 0


def _version(info: Mapping[str, Any]) -> str:
    facts = (_first(info, names) for names in (_TAG, _VERSION, _WRITTEN))
    return " ".join(f"{fact}" for fact in facts if fact is not None)


def _first(info: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What a store's library says under one of several names; None where it has none of them."""
    return next((info[name] for name in names if info.get(name)), None)


@contextmanager
def _telling(path: "UPath") -> Iterator[None]:
    """Tell what is wrong with the store from what is wrong with one object, which is raised as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as exc:
        response = getattr(exc.__cause__, "response", {})
        if response.get("Error", {}).get("Code") in _OF_ONE_OBJECT:
            raise
        raise _away(path, exc) from None
    except Exception as exc:
        if not isinstance(exc, OSError) and explain_store_error(exc) is None:
            raise
        raise _away(path, exc) from None


def _away(path: "UPath", exc: BaseException) -> StoreUnreachableError:
    """What to raise; not chained, or what the library raised would be shown in place of the caller's sentence."""
    return StoreUnreachableError(f"{path}", next(iter(f"{exc}".splitlines()), "") or type(exc).__name__)
