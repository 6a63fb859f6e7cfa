"""Extract an archive of photos: regular files only, and none outside the folder."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path, PurePosixPath
from typing import IO

from tasks.errors import DownloadError
from tasks.progress import Progress

_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


def extract(archive: Path, folder: Path, progress: Progress) -> int:
    """Extract a tar (plain, gzip, bzip2 or xz) or zip archive; its content says which it is, not its name.

    Args:
        archive: The archive.
        folder: An empty folder, which receives the files with default permissions.
        progress: Is told of the bytes of the archive that are done.

    Returns:
        How many files were extracted.

    Raises:
        DownloadError: The archive is damaged, is no archive, or holds a member that is neither a regular file nor a
            folder or that would leave the folder. Some files may have been extracted by then.
    """
    try:
        with archive.open("rb") as raw:
            return _extract(archive, raw, folder, progress)
    except _DAMAGED as exc:
        raise _damaged(archive, exc) from exc
    except OSError as exc:
        # The decompressors report damage as an OSError without a number.
        if exc.errno is None:
            raise _damaged(archive, exc) from exc
        raise DownloadError(
            f"{archive} could not be extracted to {folder} ({exc}). Make room or mend the rights, and run again."
        ) from exc


def photos_folder(folder: Path) -> Path:
    """Find the folder that holds the label folders of an extracted archive.

    Archives wrap them in one folder or more (`flower_photos/<label>/<photo>`), which may hold a licence beside them. A
    folder is taken for a wrapping when it is the only one, holds folders, and holds no photos: so the one label folder
    of an archive that has no other is not.

    Args:
        folder: What an archive was extracted to.
    """
    while True:
        inner = _visible_folders(folder)
        if len(inner) != 1 or not _visible_folders(inner[0]) or _has_photos(inner[0]):
            return folder
        folder = inner[0]


def _extract(archive: Path, raw: IO[bytes], folder: Path, progress: Progress) -> int:
    size = archive.stat().st_size
    progress.start(size, "B")
    count = done = 0
    for name, source in _zip_members(archive, raw) if raw.read(4) in _ZIP_STARTS else _tar_members(archive, raw):
        target = folder / _safe(archive, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 18)
        count += 1
        # Members may lie in another order than a zip lists them in: what was read furthest counts.
        progress.advance(max(0, raw.tell() - done))
        done = max(done, raw.tell())
    progress.advance(size - done)
    return count


def _visible_folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and path.name != "__MACOSX" and path.name[0] != "."]


def _has_photos(folder: Path) -> bool:
    types = (guess_type(path.name, strict=False)[0] for path in folder.iterdir() if path.is_file())
    return any(kind is not None and kind.startswith("image/") for kind in types)


def _tar_members(archive: Path, raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    raw.seek(0)
    with tarfile.open(fileobj=raw, mode="r:*") as tar:
        while member := tar.next():
            # The list of members would grow with the number of photos.
            tar.members.clear()  # type: ignore[attr-defined]  # typeshed does not know it
            if member.isdir():
                _safe(archive, member.name)
                continue
            source = tar.extractfile(member) if member.isreg() else None
            if source is None:
                raise _refused(archive, member.name, "is a link or a device")
            yield member.name, source
        _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Check that the archive ended where it says so: tarfile takes any damaged header but the first for the end."""
    stream = tar.fileobj
    if stream is None:
        raise tarfile.ReadError("closed")
    stream.seek(tar.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a member's header is damaged, or the end is missing")
    # A compressed stream proves its checksum only when it has been read to its end.
    while stream.read(1 << 18):
        pass


def _zip_members(archive: Path, raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(raw) as opened:
        for member in opened.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir() and kind in {0, stat.S_IFDIR}:
                _safe(archive, member.filename)
                continue
            if kind not in {0, stat.S_IFREG}:
                raise _refused(archive, member.filename, "is a link or a device")
            if member.flag_bits & 1:
                raise _refused(archive, member.filename, "is encrypted")
            yield member.filename, opened.open(member)


def _safe(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _refused(archive, name, "would leave the folder that it is extracted to")
    return path


def _refused(archive: Path, name: str, what: str) -> DownloadError:
    return DownloadError(
        f"{archive} was not extracted: its member {name!r} {what}. Make an archive of plain files and folders only, or "
        "extract it yourself where you trust it, and give the folder to --dataset."
    )


def _damaged(archive: Path, exc: Exception) -> DownloadError:
    cause = str(exc).partition("\n")[0].rstrip(":") or type(exc).__name__
    return DownloadError(
        f"{archive} is damaged or is no tar (plain, gz, bz2, xz) or zip archive ({cause}). "
        "Delete it and run again to fetch it anew, or put a whole one there."
    )
