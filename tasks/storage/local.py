"""Files of this machine, as `tasks.storage.protocol` describes the methods."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.errors import StoreError
from tasks.keys import fingerprint
from tasks.paths import AnyPath, file_version
from tasks.progress import Progress
from tasks.storage.errors import in_use, not_below
from tasks.storage.file_locks import FileLocks
from tasks.storage.protocol import FolderListing, Mirror, StoredFile
from tasks.storage.survey import DiskUsage, Survey
from tasks.storage.tempfiles import TEMPORARY_PREFIX, flush, locked_if_free, sweep_folder, temporary_name


class LocalStorage(FileLocks):
    """Files of this machine."""

    has_folders = True
    reads_are_requests = False
    is_shared = False
    listing_page = 0
    poll_seconds = 0.0

    def read_bytes(self, path: Path) -> bytes:
        return path.read_bytes()

    def open_ranges(self, path: Path) -> Path:
        return path

    def version(self, path: Path) -> str:
        try:
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            seen = [(file, file.stat()) for file in files]
        except OSError:
            return ""
        return fingerprint({str(file): f"{status.st_size} {file_version(status)}" for file, status in seen})

    def list_folder(self, folder: Path) -> FolderListing:
        names = FolderListing([], [])
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                # An entry raises for a circular link; a path does not, but takes a system call each time.
                is_folder = Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()
                (names.folders if is_folder else names.files).append(entry.name)
        return names

    def is_folder(self, path: Path) -> bool:
        return path.is_dir()

    def is_there(self, folder: Path) -> bool:
        return folder.is_dir()

    def files_below(self, folder: Path) -> Iterator[StoredFile]:
        for path in folder.rglob("*"):
            if path.is_file():
                status = path.stat()
                name = path.relative_to(folder).as_posix()
                yield StoredFile(name, status.st_size, int(status.st_mtime), file_version(status))

    def survey(self, folder: Path, apart: Collection[str] = ()) -> Survey:  # noqa: ARG002 (looks on demand)
        return Survey()

    def put_file(self, temporary: Path, path: Path) -> None:
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)

    def put_folder(self, temporary: Path, path: Path, progress: Progress, last: str) -> None:  # noqa: ARG002 (one step)
        for written in (*temporary.rglob("*"), temporary):
            flush(written)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        flush(path.parent)

    def put_pointer(self, path: Path, name: str) -> None:
        while True:
            temporary = temporary_name(path)
            temporary.symlink_to(name)
            # A sweep may have removed it: nothing locks a link.
            with suppress(FileNotFoundError):
                temporary.replace(path)
                break
        flush(path.parent)

    def read_pointer(self, path: Path) -> str | None:
        return str(path.readlink()) if path.is_symlink() else None

    def remove_files(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
            flush(path.parent)

    def move(self, path: Path, place: Path) -> None:
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
        flush(place.parent)
        flush(path.parent)

    def discard(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def local(self, path: Path) -> Path:
        return path

    @contextmanager
    def fetched(self, path: Path) -> Iterator[Path]:
        yield path

    @contextmanager
    def mirrored(self, folder: Path) -> Iterator[Mirror]:
        yield Mirror(folder)

    @contextmanager
    def fetched_files(self, folder: Path, pattern: str) -> Iterator[Path]:  # noqa: ARG002 (all are there)
        yield folder

    def scratch_for(self, folder: Path) -> Path:
        return folder

    def staging_for(self, folder: Path) -> Path:
        return folder

    def measure(self, path: Path) -> DiskUsage:
        return Survey().measure(path)

    def check_below(self, path: Path, root: AnyPath) -> None:
        own = Path(os.path.abspath(f"{root}"))  # noqa: PTH100 (as written: `resolve` would follow the links)
        place = Path(os.path.abspath(path))  # noqa: PTH100
        if own == place or not place.is_relative_to(own):
            raise not_below(path, root)
        real = place.resolve()
        if real != own.resolve() / place.relative_to(own):
            raise StoreError(f"{path} is a link to {real}, or lies behind one, so it is left alone. Remove it by hand.")

    def is_in_use(self, path: Path) -> bool:
        return self.is_locked(path) or any(self.is_locked(written) for written in path.rglob(f"{TEMPORARY_PREFIX}*"))

    def remove_unused(self, path: Path) -> None:
        if self.is_in_use(path):
            raise in_use(path)
        sweep_folder(path.parent)
        if path.is_dir():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    """Rename a folder to a temporary name, then remove its files.

    A folder that is half removed after a crash looks like the leftover of a crashed writer, which no stage takes for
    complete. The lock keeps it from sweeps, and a process that waits for it from getting half of it.
    """
    temporary = temporary_name(folder)
    with locked_if_free(folder) as free:
        if not free:
            raise in_use(folder)
        folder.rename(temporary)
        shutil.rmtree(temporary)
