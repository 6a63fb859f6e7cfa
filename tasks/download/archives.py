"""Extract an archive of photos: regular files only, and none outside the folder."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from tasks.artifacts import Names, names_within
from tasks.download.limits import Budget, NoRoom, Refused, room_on_disk
from tasks.download.members import Archive, Member, members
from tasks.errors import DownloadError, MachineError
from tasks.paths import AnyPath, is_remote
from tasks.progress import Progress, Silence

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


_EXTRACT_YOURSELF = (
    "Make an archive of plain files and folders only, or extract it yourself where you trust it, and give the folder "
    "to --dataset"
)


def extract(archive: Path, folder: Path, progress: Progress) -> int:
    """Extract a tar (plain, gzip, bzip2 or xz) or zip archive; its content says which it is, not its name.

    Nothing of a member is taken over but its name and its bytes: no owner, no time, no rights. Bytes are counted as
    they come, and an archive that unpacks to more than `limits` lets in is left before it has filled the disk.

    Args:
        archive: The archive.
        folder: An empty folder, which receives the files with default permissions.
        progress: Is told of the bytes of the archive that are done.

    Returns:
        How many files were extracted.

    Raises:
        DownloadError: The archive is damaged, is no archive, is too large, or holds a member that is neither a regular
            file nor a folder, or whose name leads elsewhere or collides. Some files may have been extracted by then.
        MachineError: The disk has no room, or cannot be written to.
    """
    with _telling(
        str(archive), f"{_EXTRACT_YOURSELF}.", "Delete it and run again to fetch it anew, or put a whole one there."
    ):
        try:
            return _write_all(archive, folder, progress)
        except NoRoom as exc:
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
    again = f"{_EXTRACT_YOURSELF}; what was fetched before is kept."
    with _telling(
        url,
        again,
        "Open it in a browser, and run again in case it was damaged on its way; what was fetched before is kept.",
    ):
        for member in _read(archive, Budget(None), Silence()):
            for _ in member.data:
                pass


def photos_folder(folder: PlaceT) -> PlaceT:
    """Find the folder that holds the label folders of an extracted archive.

    Archives wrap them in one folder or more (`flower_photos/<label>/<photo>`), which may hold a licence beside them. A
    folder is taken for a wrapping when it is the only one, holds folders, and holds no photos: so the one label folder
    of an archive that has no other is not.

    Args:
        folder: What an archive was extracted to.
    """
    names = _names(folder)
    while len(wrapping := _visible(names.folders)) == 1:
        inner = folder / wrapping[0]
        names = _names(inner)
        if not _visible(names.folders) or _has_photos(names.files):
            break
        folder = cast("PlaceT", inner)
    return folder


def _names(folder: AnyPath) -> Names:
    if is_remote(folder):
        return names_within(folder)
    names = Names([], [])
    for path in folder.iterdir():
        (names.folders if path.is_dir() else names.files).append(path.name)
    return names


def _write_all(archive: Path, folder: Path, progress: Progress) -> int:
    count = 0
    try:
        for member in _read(archive, Budget(room_on_disk(folder)), progress):
            with _create(folder / member.path) as file:
                for piece in member.data:
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
    return count


def _create(path: Path) -> BinaryIO:
    """Create a file that is not there, and the folders above it."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def _read(archive: Path, budget: Budget, progress: Progress) -> Iterator[Member]:
    """The files of an archive, of each of which all bytes are taken before the next is asked for."""
    with Archive(archive) as opened:
        progress.start(opened.bytes, "B")
        done = 0
        for member in members(opened, budget):
            yield member
            # Members may lie in another order than a zip lists them in: what was read furthest counts.
            progress.advance(max(0, opened.tell() - done))
            done = max(done, opened.tell())
        if not done:
            raise Refused("it holds no file")
        progress.advance(opened.bytes - done)


@contextmanager
def _telling(archive: str, refused: str, damaged: str) -> Iterator[None]:
    """Turn what is wrong with an archive into the error that the user sees, with a remedy for each kind."""
    try:
        yield
    except Refused as exc:
        raise DownloadError(f"{archive} was not extracted: {exc}. {refused}") from exc
    except (*_DAMAGED, OSError) as exc:
        cause = str(exc).partition("\n")[0].rstrip(":") or type(exc).__name__
        raise DownloadError(
            f"{archive} is damaged or is no tar (plain, gz, bz2, xz) or zip archive ({cause}). {damaged}"
        ) from exc


def _visible(folders: Iterable[str]) -> list[str]:
    return [name for name in folders if name != "__MACOSX" and name[0] != "."]


def _has_photos(files: Iterable[str]) -> bool:
    types = (guess_type(name, strict=False)[0] for name in files)
    return any(kind is not None and kind.startswith("image/") for kind in types)
