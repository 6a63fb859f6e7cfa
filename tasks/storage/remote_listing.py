"""Lists and reads objects, and tells a bad object from a bad store.

An OSError is about one object: it is missing, or may not be read. A `StoreUnreachableError` is about the store, and
says nothing about its objects.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.errors import MachineError
from tasks.runtime.os_errors import explain_store_error
from tasks.storage import object_store
from tasks.storage.protocol import StoredFile

if TYPE_CHECKING:
    from upath import UPath

#: Errors of the libraries when a connection breaks in the middle of an object. They retry only before the first byte.
_CONNECTION_ERRORS = {"AioReadTimeoutError", "ClientPayloadError", "IncompleteReadError", "ResponseStreamingError"}
#: Seconds before each new attempt.
_RETRY_DELAYS = (0.5, 2.0, 8.0)
#: Refusals that are about one object: its rights, or that it is archived. Others are about the credentials.
_OBJECT_ERRORS = {"403", "AccessDenied", "AllAccessDisabled", "InvalidObjectState"}
#: Facts about an object, by their names in the libraries of the stores.
_TAG, _VERSION = ("ETag", "etag", "md5Hash"), ("VersionId", "version_id", "generation")
_WRITTEN = ("LastModified", "last_modified", "mtime")


class StoreUnreachableError(MachineError):
    """An object store, or one of its buckets, does not answer or refuses the request.

    Args:
        address: The address that was asked for.
        why: The reason, in a few words.
    """

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address, self.why = address, why

    def __str__(self) -> str:
        return (
            f"{self.address} cannot be read ({self.why}). Check the address, the credentials and the network, and run "
            "again; published results are kept."
        )


def version(path: "UPath") -> str:
    """Text that changes with an object or with any object of a folder; see `Storage.version`."""
    with _store_errors(path):
        try:
            return object_store.version_in(object_store.found_at(path))
        except FileNotFoundError:
            return ""


def objects_below(folder: "UPath") -> Iterator[StoredFile]:
    """List all objects below a folder, in any order: one request a thousand, with one page of them in memory.

    Raises:
        StoreUnreachableError: The store does not answer, has no such bucket, or refuses the listing.
    """
    bucket, _, key = folder.path.strip("/").partition("/")
    start = f"{bucket}/{key}/" if key else f"{bucket}/"
    try:
        with _store_errors(folder):
            for name, info in _listed(folder, bucket, f"{key}/" if key else ""):
                # The libraries list the object itself if there is nothing below it.
                if name.startswith(start):
                    size = int(info.get("size") or info.get("Size") or 0)
                    yield StoredFile(name.removeprefix(start), size, _modified(info), _version(info))
    except OSError as exc:
        raise _unreachable(folder, exc) from None


def read_range(path: "UPath", start: int, count: int) -> bytes:
    """Read up to `count` bytes of an object from an offset on, in one request; fewer at the end of the object.

    Raises:
        FileNotFoundError: The object is missing.
        PermissionError: It may not be read.
        StoreUnreachableError: The store does not answer.
    """
    pauses = iter(_RETRY_DELAYS)
    with _store_errors(path):
        while True:
            try:
                return bytes(path.fs.cat_file(path.path, start=start, end=start + count))
            except (FileNotFoundError, PermissionError):
                raise
            except OSError:
                # Stores refuse an empty range.
                if path.fs.size(path.path) <= start:
                    return b""
                raise
            except Exception as exc:
                pause = next(pauses, None) if type(exc).__name__ in _CONNECTION_ERRORS else None
                if pause is None:
                    raise
            time.sleep(pause)


def object_size(path: "UPath") -> int:
    """Bytes of an object; errors are those of `read_range`."""
    with _store_errors(path):
        return int(path.fs.size(path.path))


def _listed(folder: "UPath", bucket: str, prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # S3 is listed page by page, since a million objects would take a GB.
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
    """The ETag, the version number if the store keeps several versions, and the time of the write."""
    facts = (_first(info, names) for names in (_TAG, _VERSION, _WRITTEN))
    return " ".join(f"{fact}" for fact in facts if fact is not None)


def _first(info: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((info[name] for name in names if info.get(name)), None)


@contextmanager
def _store_errors(path: "UPath") -> Iterator[None]:
    """Raise `StoreUnreachableError` for errors of the store; errors of one object pass."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as exc:
        response = getattr(exc.__cause__, "response", {})
        if response.get("Error", {}).get("Code") in _OBJECT_ERRORS:
            raise
        raise _unreachable(path, exc) from None
    except Exception as exc:
        if not isinstance(exc, OSError) and explain_store_error(exc) is None:
            raise
        raise _unreachable(path, exc) from None


def _unreachable(path: "UPath", exc: BaseException) -> StoreUnreachableError:
    """Make the error; raise it unchained, or the library's words would be shown in place of its sentence."""
    return StoreUnreachableError(f"{path}", next(iter(f"{exc}".splitlines()), "") or type(exc).__name__)
