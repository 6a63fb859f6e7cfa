"""The storage protocol: all that differs between files of this machine and objects of an object store.

`tasks.storage.local` and `tasks.storage.remote` implement it, and `tasks.storage.files.storage_at` chooses one by path.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from typing_extensions import TypeVar

from tasks.paths import AnyPath
from tasks.progress import Progress
from tasks.storage.survey import DiskUsage, Survey
from tasks.storage.tempfiles import flush

PathT_contra = TypeVar("PathT_contra", bound=AnyPath, contravariant=True, default=Any)


class FolderListing(NamedTuple):
    """Entries of a folder."""

    folders: list[str]  #: Names of the folders.
    files: list[str]  #: Names of the files.


class StoredFile(NamedTuple):
    """A file below a folder."""

    path: str  #: Its name relative to the folder. An object whose name is empty or ends with a `/` only shows a folder.
    size: int  #: Bytes.
    modified: int  #: Time of the last write, in seconds since 1970; object stores give whole ones.
    version: str  #: Differs from that of every earlier file at this path.


class Mirror:
    """A local folder, for libraries that read and write local files only; see `Storage.mirrored`.

    Args:
        here: The local folder; that of an object store is a copy (`RemoteMirror`).
    """

    def __init__(self, here: Path) -> None:
        self.here = here

    def keep(self, files: Sequence[Path]) -> None:
        """Make new files durable, and remove stored files that were removed locally.

        An object store gets the files in the background, at most every 20 seconds: a short training costs no more
        requests than it saves work. Call `settle` before changing a file.

        Args:
            files: Files written since the last call. The last one is stored after all others.
        """
        for path in (*files, self.here):
            flush(path)

    def settle(self) -> None:
        """Wait until the background upload has ended, and raise its error."""


class Storage(Protocol[PathT_contra]):
    """Files at paths of one kind. Nothing else renames, lists, locks or uploads files of a data root."""

    has_folders: bool  #: Whether a folder exists by itself and can be empty; an object store has names with slashes.
    reads_are_requests: bool  #: Whether each read is a network request: worth avoiding, and worth sending in parallel.
    is_shared: bool  #: Whether all machines find the same files at the same path.
    listing_page: int  #: Number of names that one listing returns as one atomic step.
    poll_seconds: float  #: Least number of seconds between two looks at a file that changes.

    def read_bytes(self, path: PathT_contra) -> bytes:
        """Read a whole file, in one request; raises FileNotFoundError if it is missing."""

    def open_ranges(self, path: PathT_contra) -> Path | BinaryIO:
        """Return a file from which pyarrow reads parts: a local path, or an unbuffered file object."""

    def version(self, path: PathT_contra) -> str:
        """Text that changes with a file or with any file of a folder, without reading them; empty if missing.

        Raises:
            StoreUnreachableError: The object store does not answer.
        """

    def list_folder(self, folder: PathT_contra) -> FolderListing:
        """List a folder, files apart from folders; empty if it is missing."""

    def is_folder(self, path: PathT_contra) -> bool:
        """Whether a folder exists; on an object store, whether anything is in it."""

    def is_there(self, folder: PathT_contra) -> bool:
        """Whether a folder that `put_folder` publishes is complete."""

    def files_below(self, folder: PathT_contra) -> Iterator[StoredFile]:
        """List the files at any depth below a folder, in any order.

        Raises:
            StoreUnreachableError: The object store does not answer, or refuses the listing.
        """

    def survey(self, folder: PathT_contra, apart: Collection[str] = ()) -> Survey:
        """Look at a folder and everything below it; it may be missing.

        Args:
            folder: The folder.
            apart: Names of folders in it with very many files: an object store lists them on demand, a level at a time.
        """

    def put_file(self, temporary: Path, path: PathT_contra) -> None:
        """Publish a local temporary file as one step; it replaces an existing file."""

    def put_folder(self, temporary: Path, path: PathT_contra, progress: Progress, last: str) -> None:
        """Publish a local temporary folder; see `tasks.storage.files.publish_folder`."""

    def put_pointer(self, path: PathT_contra, name: str) -> None:
        """Point a path at a neighbour of this name, as one step: a relative link, or an object that holds the name."""

    def read_pointer(self, path: PathT_contra) -> str | None:
        """Read the name that `put_pointer` gave a path; None where there is none."""

    def remove_files(self, paths: Sequence[PathT_contra]) -> None:
        """Remove files; missing ones are ignored."""

    def move(self, path: PathT_contra, place: PathT_contra) -> None:
        """Move a file or folder within a data root; an object store copies, then removes."""

    def discard(self, folder: PathT_contra) -> None:
        """Remove a folder that is no longer needed; local files that cannot be removed stay."""

    def local(self, path: PathT_contra) -> Path:
        """Return a local file or folder to read; an object is fetched once per process and version.

        Raises:
            FileNotFoundError: Nothing is at the path of an object store.
        """

    def fetched(self, path: PathT_contra) -> AbstractContextManager[Path]:
        """Fetch an object, which must exist, into a temporary file for the block; a local file is yielded itself."""

    def mirrored(self, folder: PathT_contra) -> AbstractContextManager[Mirror]:
        """Work on a folder without subfolders as a local one, one process at a time; it may be missing."""

    def fetched_files(self, folder: PathT_contra, pattern: str) -> AbstractContextManager[Path]:
        """Yield a local folder with the files of a folder whose names match, to read within the block."""

    def scratch_for(self, folder: PathT_contra) -> Path:
        """Local folder for temporary files of a folder: the folder itself, or scratch."""

    def staging_for(self, folder: PathT_contra) -> Path:
        """Local folder that stays between runs for files of a folder, such as partial downloads.

        It is the folder itself, or one in scratch, which is not swept but may vanish.
        """

    def measure(self, path: PathT_contra) -> DiskUsage:
        """Measure a file or folder; zero if it is missing. Links are not followed, leases and marks do not count."""

    def check_below(self, path: PathT_contra, root: AnyPath) -> None:
        """Raise StoreError for a path that is not below the data root, or that leads through a link."""

    def is_in_use(self, path: PathT_contra) -> bool:
        """Whether a process has locked a folder, or writes a file in it."""

    def remove_unused(self, path: PathT_contra) -> None:
        """Remove a file or folder as one step; raises StoreError if a process works in it."""

    def lock_folder(self, folder: PathT_contra) -> AbstractContextManager[None]:
        """Hold the exclusive lock of a folder during the block; report once when it has to be waited for."""

    def is_locked(self, folder: PathT_contra) -> bool:
        """Whether a process holds the lock of a folder."""

    def lock_until_exit(self, path: PathT_contra, work: str) -> bool:
        """Hold an exclusive lock until exit, and report once when it has to be waited for.

        A local lock file, for which folders are made, is removed at exit; after a crash it stays, and locks nothing.

        Args:
            path: The lock file.
            work: The work that the lock protects, for the message.

        Returns:
            Whether another process held the lock before.

        Raises:
            OSError: The lock file cannot be made.
        """

    def is_held(self, path: PathT_contra) -> bool:
        """Whether a process holds the lock of `lock_until_exit`."""

    def clear_lock(self, path: PathT_contra) -> None:
        """Remove the leases of a lock that nobody holds; `sweep_root` removes local lock files."""

    def lock_shared(self, root: PathT_contra) -> bool:
        """Hold a shared lock of a data root until exit, so that nobody collects garbage; see `lock_root`.

        Returns:
            Whether this process did not hold it yet; False if the root is missing, since it has no garbage.
        """

    def lock_root(self, root: PathT_contra) -> AbstractContextManager[None]:
        """Hold the exclusive lock of a data root during the block; raises StoreError if another process holds one."""
