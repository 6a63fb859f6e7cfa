"""Extract an archive of photos: regular files only, and none outside the folder."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import clear_frames
from typing import BinaryIO, NamedTuple, TypeVar, cast

from tasks.download.file_types import foreign_type
from tasks.download.limits import ArchiveRejectedError, DiskFullError, ExtractionLimit, room_on_disk
from tasks.download.members import Archive, Member, members
from tasks.download.names import ArchiveNames
from tasks.download.unpacking import PIECE
from tasks.errors import DownloadError, MachineError
from tasks.paths import AnyPath
from tasks.progress import NullProgress, Progress
from tasks.storage.files import storage_at

PlaceT = TypeVar("PlaceT", bound=AnyPath)

#: What tarfile, zipfile and the decompressors raise for bytes that are no archive.
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RecursionError,
    ValueError,
    OverflowError,
)


_NOT_READ = "no tar (plain, gz, bz2, xz) or zip archive"
_KEPT = "; what was fetched before is kept"


class Extracted(NamedTuple):
    """What was extracted.

    Args:
        files: How many files.
        notes: What the user has to know of their names, in sentences.
    """

    files: int
    notes: list[str]


def extract(archive: Path, folder: Path, progress: Progress) -> Extracted:
    """Extract a tar (plain, gzip, bzip2 or xz) or zip archive; its content says which it is, not its name.

    Nothing of a member is taken over but its name and its bytes: no owner, no time, no rights. Bytes are counted as
    they come, and an archive that unpacks to more than `limits` lets in is left before it has filled the disk.

    Args:
        archive: The archive.
        folder: An empty folder, which receives the files with default permissions.
        progress: Is told of the bytes of the archive that are done.

    Raises:
        DownloadError: The archive is damaged, is no archive, is too large, or holds a member that is neither a regular
            file nor a folder, or whose name leads elsewhere, collides or is in an unknown encoding. Some files may have
            been extracted by then.
        MachineError: The disk has no room, or cannot be written to.
    """
    with _telling(archive, f"{archive}", "Delete it and run again to fetch it anew, or put a whole one there", ""):
        try:
            return _write_all(archive, folder, progress)
        except DiskFullError as exc:
            raise MachineError(
                f"{archive} was not extracted: it unpacks to more than the disk of {folder} has room for. Free some, "
                "or move the data root to a larger disk, and run again."
            ) from exc


def verify(archive: Path, url: str) -> None:
    """Read a whole archive that was fetched without extracting it, to see that `extract` would take it.

    Args:
        archive: What was fetched.
        url: Where from, for the error.

    Raises:
        DownloadError: It would not; see `extract`.
    """
    again = "Open it in a browser, and run again in case it was damaged on its way"
    with _telling(archive, url, again, _KEPT):
        for member in _read(archive, ExtractionLimit(None), ArchiveNames(), NullProgress()):
            for _ in member.data:
                pass


def photos_folder(
    folder: PlaceT, unwanted_name: Callable[[str], object], told_by_name: Callable[[str], bool | None]
) -> PlaceT:
    """Find the folder that holds the label folders of an extracted archive.

    Archives wrap them in one folder or more (`flower_photos/<label>/<photo>`), which may hold a licence beside them. A
    folder is taken for a wrapping when it is the only one, holds folders, and holds no photos: so the one label folder
    of an archive that has no other is not.

    Args:
        folder: What an archive was extracted to.
        unwanted_name: Says of a name why it is left out of a dataset, if it is.
        told_by_name: Says of a file's name whether it is a photo's.
    """

    def wanted(names: Iterable[str]) -> list[str]:
        return [name for name in names if not unwanted_name(name)]

    names = storage_at(folder).list_folder(folder)
    while len(wrapping := wanted(names.folders)) == 1:
        inner = folder / wrapping[0]
        names = storage_at(inner).list_folder(inner)
        if not wanted(names.folders) or any(map(told_by_name, wanted(names.files))):
            break
        folder = cast("PlaceT", inner)
    return folder


def _write_all(archive: Path, folder: Path, progress: Progress) -> Extracted:
    count, names = 0, ArchiveNames()
    try:
        for member in _read(archive, ExtractionLimit(room_on_disk(folder)), names, progress):
            with _create(folder / member.path) as file:
                for piece in _pieces(folder / member.copy_of) if member.copy_of else member.data:
                    file.write(piece)
            count += 1
    except OSError as exc:
        # The decompressors report damage as an OSError without a number.
        if exc.errno is None:
            raise
        raise MachineError(
            f"{archive} could not be extracted to {folder} ({exc.strerror}). Make room or mend the rights, and run "
            "again."
        ) from exc
    return Extracted(count, names.notes())


def _pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file that was extracted before."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _create(path: Path) -> BinaryIO:
    """Create a file that is not there, and the folders above it."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def _read(archive: Path, budget: ExtractionLimit, names: ArchiveNames, progress: Progress) -> Iterator[Member]:
    """The files of an archive, of each of which all bytes are taken before the next is asked for."""
    with Archive(archive) as opened:
        progress.start(opened.bytes, "B")
        done = 0
        for member in members(opened, budget, names):
            yield member
            # Members may lie in another order than a zip lists them in: what was read furthest counts.
            progress.advance(max(0, opened.tell() - done))
            done = max(done, opened.tell())
        if not done:
            raise ArchiveRejectedError("it holds no file")
        progress.advance(opened.bytes - done)


@contextmanager
def _telling(path: Path, archive: str, again: str, kept: str) -> Iterator[None]:
    """Turn what is wrong with an archive into the error that the user sees.

    Args:
        path: Where it is.
        archive: What the user calls it.
        again: The remedy where it is damaged.
        kept: What follows every remedy.
    """
    try:
        yield
    except ArchiveRejectedError as exc:
        raise DownloadError(f"{archive} was not extracted: {exc}. {exc.remedy}{kept}.") from exc
    except (*_DAMAGED, OSError) as exc:
        # The frames hold what unpacked it, and the memory of one xz is enough.
        clear_frames(exc.__traceback__)
        if found := foreign_type(path):
            raise DownloadError(f"{archive} is {_NOT_READ} but {found.name}. {found.remedy}{kept}.") from exc
        cause = str(exc).partition("\n")[0].rstrip(":") or type(exc).__name__
        raise DownloadError(f"{archive} is damaged or is {_NOT_READ} ({cause}). {again}{kept}.") from exc
