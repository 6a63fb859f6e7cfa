"""Extract an archive of photos: regular files only, and none outside the folder."""

import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import clear_frames
from typing import NamedTuple

from tasks.download.foreign_files import recognise
from tasks.download.limits import ArchiveRejectedError, ExtractionLimit, writable_bytes
from tasks.download.members import ArchiveFile, Member
from tasks.download.names import ArchiveNames
from tasks.download.tar_members import tar_members
from tasks.download.zip_members import zip_members
from tasks.errors import DownloadError, MachineError
from tasks.file_types import ZIP, other_type
from tasks.progress import NullProgress, Progress

#: Errors of tarfile, zipfile and the decompressors for bytes that are no archive.
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RecursionError, ValueError, OverflowError, OSError),
)
_NO_ARCHIVE = "no tar (plain, gz, bz2, xz) or zip archive"


class Extracted(NamedTuple):
    """The number of extracted files, and sentences about their names that the user has to know."""

    files: int
    notes: list[str]


def extract(archive: Path, folder: Path, progress: Progress) -> Extracted:
    """Extract a tar (plain, gzip, bzip2 or xz) or zip archive; its content says which it is, not its name.

    Only the names and bytes of members are used: no owner, no time, no rights. Bytes are counted as they come, and the
    extraction ends at `limits`, before the disk is full. The folder must be empty. Progress counts the archive's bytes.

    Raises:
        DownloadError: The archive is damaged, is no archive, is too large, or holds a member that is neither a regular
            file nor a folder, or whose name leads elsewhere, collides or is in an unknown encoding. Some files may have
            been extracted by then.
        MachineError: The disk has no room, or cannot be written to.
    """
    count, names = 0, ArchiveNames()
    with _explain(archive, f"{archive}", "Delete it and run again to fetch it anew, or put a whole one there"):
        try:
            for member in _read(archive, ExtractionLimit(writable_bytes(folder)), names, progress):
                _write(member, folder)
                count += 1
        except OSError as exc:
            # The decompressors report damage as an OSError without a number.
            if exc.errno is None:
                raise
            raise MachineError(
                f"{archive} could not be extracted to {folder} ({exc.strerror}). Make room, move the data root to a "
                "larger disk or mend the rights, and run again."
            ) from exc
    return Extracted(count, names.notes())


def verify(archive: Path, url: str) -> None:
    """Check that `extract` accepts an archive that was fetched from `url`: read all of it, and write nothing.

    Raises:
        DownloadError: `extract` would raise it.
    """
    remedy = "Open it in a browser, and run again in case it was damaged on its way"
    with _explain(archive, url, remedy, "; what was fetched before is kept"):
        for member in _read(archive, ExtractionLimit(), ArchiveNames(), NullProgress()):
            for _ in member.data:
                pass


def _write(member: Member, folder: Path) -> None:
    path = folder / member.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        if member.copy_of:
            with (folder / member.copy_of).open("rb") as earlier:
                shutil.copyfileobj(earlier, file)
        else:
            file.writelines(member.data)


def _read(path: Path, limit: ExtractionLimit, names: ArchiveNames, progress: Progress) -> Iterator[Member]:
    """Read the members of an archive; all bytes of one are to be read before the next is requested."""
    with ArchiveFile(path) as archive:
        progress.start(archive.size, "B")
        is_zip = other_type(archive.read(4)) is ZIP
        archive.seek(0)
        done = 0
        for member in (zip_members if is_zip else tar_members)(archive, limit, names):
            yield member
            # A zip may list its members in another order than they lie in: the furthest position counts.
            progress.advance(max(0, archive.tell() - done))
            done = max(done, archive.tell())
        if not done:
            raise ArchiveRejectedError("it holds no file")
        progress.advance(archive.size - done)


@contextmanager
def _explain(path: Path, shown: str, if_damaged: str, suffix: str = "") -> Iterator[None]:
    """Turn an error of the archive at `path` into the one that the user sees; `suffix` follows every remedy."""
    try:
        yield
    except ArchiveRejectedError as exc:
        raise DownloadError(f"{shown} was not extracted: {exc}. {exc.remedy}{suffix}.") from exc
    except _DAMAGED as exc:
        # The frames hold the decompressor, and the memory of one xz is enough.
        clear_frames(exc.__traceback__)
        if found := recognise(path):
            raise DownloadError(f"{shown} is {_NO_ARCHIVE} but {found.name}. {found.remedy}{suffix}.") from exc
        cause = str(exc).partition("\n")[0].rstrip(":") or type(exc).__name__
        raise DownloadError(f"{shown} is damaged or is {_NO_ARCHIVE} ({cause}). {if_damaged}{suffix}.") from exc
