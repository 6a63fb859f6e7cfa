"""Objects of an object store as files, as `tasks.storage.protocol` describes the methods."""

import fnmatch
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tasks.concurrency import map_ordered
from tasks.keys import fingerprint
from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage import folder_sync, local_cache, object_store, remote_listing
from tasks.storage.errors import in_use, not_below
from tasks.storage.lease_locks import LeaseLocks
from tasks.storage.listing_cache import ListedSurvey
from tasks.storage.protocol import StoredFile
from tasks.storage.remote_listing import objects_below
from tasks.storage.survey import DiskUsage
from tasks.storage.tempfiles import scratch, scratch_folder

if TYPE_CHECKING:
    from upath import UPath

#: Bytes of a folder's files in parallel uploads, except one larger file.
_UPLOAD_BYTES = 2**28


class RemoteStorage(LeaseLocks):
    """Objects of an object store."""

    has_folders = False
    reads_are_requests = True
    is_shared = True
    listing_page = 900
    poll_seconds = 2.0
    read_bytes = staticmethod(object_store.read_bytes)
    version = staticmethod(remote_listing.version)
    list_folder = staticmethod(object_store.list_folder)
    put_file = staticmethod(object_store.put)
    remove_files = staticmethod(object_store.remove)
    local = staticmethod(local_cache.local)
    fetched = staticmethod(local_cache.fetched)
    mirrored = staticmethod(folder_sync.mirrored)

    def open_ranges(self, path: "UPath") -> BinaryIO:
        return cast("BinaryIO", path.fs.open(path.path, "rb", cache_type="none"))

    def is_folder(self, path: "UPath") -> bool:
        return any(object_store.list_folder(path))

    def is_there(self, folder: "UPath") -> bool:
        return _mark(folder).exists()

    def files_below(self, folder: "UPath") -> Iterator[StoredFile]:
        return (found for found in objects_below(folder) if found.path and not found.path.endswith("/"))

    def survey(self, folder: "UPath", apart: Collection[str] = ()) -> ListedSurvey:
        return ListedSurvey(self, folder, apart)

    def put_folder(self, temporary: Path, path: "UPath", progress: Progress, last: str) -> None:
        final = temporary / last
        files = sorted(file for file in temporary.rglob("*") if file.is_file() and file != final)
        progress.start(len(files), "files")

        def put_one(file: Path) -> None:
            object_store.put(file, path / file.relative_to(temporary).as_posix())

        for _ in map_ordered(
            put_one, files, object_store.PARALLEL_REQUESTS, lambda file: file.stat().st_size, _UPLOAD_BYTES
        ):
            progress.advance(1)
        if last and final.is_file():
            put_one(final)
        object_store.put_bytes(_mark(path), b"")

    def put_pointer(self, path: "UPath", name: str) -> None:
        object_store.put_bytes(path, name.encode())

    def read_pointer(self, path: "UPath") -> str | None:
        try:
            return object_store.read_bytes(path).decode()
        except FileNotFoundError:
            return None

    def move(self, path: "UPath", place: "UPath") -> None:
        # `mv` would copy the folder too, which is no object.
        names = list(object_store.found_at(path))
        if names != [path.path]:
            # The folder is complete in neither place.
            object_store.remove([_mark(path)])
        places = [place.path + name.removeprefix(path.path) for name in names]
        path.fs.copy(names, places, batch_size=object_store.PARALLEL_REQUESTS)
        object_store.remove_names(path, names)

    def discard(self, folder: "UPath") -> None:
        object_store.remove([_mark(folder)])
        object_store.remove_names(folder, folder.fs.find(folder.path))

    @contextmanager
    def fetched_files(self, folder: "UPath", pattern: str) -> Iterator[Path]:
        with scratch_folder(folder.name) as here:
            for name in fnmatch.filter(object_store.list_folder(folder).files, pattern):
                # The writer may remove it meanwhile.
                with suppress(FileNotFoundError):
                    folder.fs.get_file(f"{folder.path}/{name}", str(here / name))
            yield here

    def scratch_for(self, folder: "UPath") -> Path:  # noqa: ARG002 (one for all)
        return scratch()

    def staging_for(self, folder: "UPath") -> Path:
        return scratch() / "kept" / fingerprint({"folder": str(folder)}) / folder.name

    def measure(self, path: "UPath") -> DiskUsage:
        sizes = [one.size for one in objects_below(path) if not object_store.is_internal(one.path)]
        if not sizes:
            with suppress(FileNotFoundError):
                own = path.fs.info(path.path)
                sizes = [own["size"]] if own["type"] == "file" else []
        return DiskUsage(len(sizes), sum(sizes))

    def check_below(self, path: "UPath", root: AnyPath) -> None:
        if not str(path).startswith(f"{str(root).rstrip('/')}/"):
            raise not_below(path, root)

    def is_in_use(self, path: "UPath") -> bool:
        return self.is_locked(path)

    def remove_unused(self, path: "UPath") -> None:
        found = list(objects_below(path))
        # Without a lease no process has ever worked in it.
        if any(object_store.is_internal(one.path) for one in found) and self.is_locked(path):
            raise in_use(path)
        if found:
            object_store.remove([_mark(path)])
            object_store.remove_names(path, [f"{path.path}/{one.path}" for one in found])
        else:
            object_store.remove([path])


def _mark(path: "UPath") -> "UPath":
    """The object that says that a folder is complete."""
    return path.with_name(f".{path.name}.whole")
