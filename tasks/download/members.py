"""The members of an archive: regular files under safe names, and nothing else."""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from tasks.download import limits
from tasks.download.limits import ArchiveRejectedError, ExtractionLimit
from tasks.download.names import ArchiveFile, ArchiveNames
from tasks.download.unpacking import PIECE, Unpacking
from tasks.download.zip_members import check_method, name_length, name_of

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
#: Bytes of a zip's list of members: it is read as one, and takes ten times its size of memory.
_MAX_LIST = 1 << 26
#: Bytes of a zip's header before a member, without its name.
_LOCAL_HEADER = 30
#: Bytes of the record that a zip ends with, without its comment.
_END_RECORD = 22
_SPARSE = (tarfile.GNUTYPE_SPARSE,)


class Member(NamedTuple):
    """A file of an archive.

    Args:
        path: Its name, relative; no other member has it.
        data: Its bytes, in pieces; to be read before the next member is asked for.
        copy_of: The member before it that has its bytes, where it is a hard link; then `data` has none.
    """

    path: PurePosixPath
    data: Iterator[bytes]
    copy_of: PurePosixPath | None = None


class Archive(BufferedReader):
    """An archive that is open for reading, of which nobody reads more into memory than `_MAX_LIST` bytes."""

    def __init__(self, path: Path) -> None:
        self.bytes = path.stat().st_size
        super().__init__(path.open("rb", buffering=0))

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, as of any file; zipfile asks for as many bytes as the archive tells it to."""
        asked = self.bytes if size is None or size < 0 else size
        if min(asked, self.bytes - self.tell()) > _MAX_LIST:
            raise ArchiveRejectedError(f"its list of members has more than {_MAX_LIST:,} bytes")
        return super().read(size)


def members(archive: Archive, budget: ExtractionLimit, names: ArchiveNames) -> Iterator[Member]:
    """All files of an archive, whose content says of which format it is.

    Args:
        archive: The archive, from its start.
        budget: What it may unpack to.
        names: Takes their names; those of none so far.

    Raises:
        Refused: A member is no regular file or folder, is named badly, or goes beyond the budget.
        NoRoom: The disk has no room for it.
        Exception: It is damaged; see `archives.DAMAGED`.
    """
    is_zip = archive.read(4) in _ZIP_STARTS
    archive.seek(0)
    return _zip_members(archive, budget, names) if is_zip else _tar_members(archive, budget, names)


def _tar_members(archive: Archive, budget: ExtractionLimit, names: ArchiveNames) -> Iterator[Member]:
    stream = Unpacking(archive, budget)
    # It has as much of a file as tarfile needs.
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:", encoding="utf-8") as tar:
        while member := _next_of(tar, stream):
            name = _tar_name(member.name, names)
            if member.isdir():
                names.add_folder(name)
            elif member.islnk():
                earlier = _linked(name, _tar_name(member.linkname, names), names)
                # Its bytes are written once more, and come from nothing that is read.
                budget.spend(earlier.size, archive.tell())
                yield Member(names.add_file(name, earlier.size), iter(()), earlier.path)
            elif not member.isreg() or member.issparse() or member.type in _SPARSE:
                raise ArchiveRejectedError(f"its member {name!r} is a symbolic link, a device or a sparse file")
            else:
                path = names.add_file(name, member.size)
                stream.seek(member.offset_data)
                yield Member(path, _exactly(stream.take, member.size))
    _check_end(stream)


def _tar_name(name: str, names: ArchiveNames) -> str:
    """A name as text; tarfile writes bytes that are not UTF-8 as lone surrogates."""
    try:
        return name if name.isascii() else names.decoder.decode(name.encode("utf-8", "surrogateescape"), oem=False)
    except UnicodeEncodeError:
        return name


def _linked(name: str, target: str, names: ArchiveNames) -> ArchiveFile:
    """The file that a hard link names once more."""
    if (earlier := names.find(target)) is None:
        raise ArchiveRejectedError(
            f"its member {name!r} is a hard link to {target!r}, and no such file comes before it in the archive"
        )
    return earlier


def _next_of(tar: tarfile.TarFile, stream: Unpacking) -> tarfile.TarInfo | None:
    stream.begin_member()
    member = tar.next()
    # The list of members would grow with the number of photos, what was said of all files with each that says it anew.
    tar.members.clear()  # type: ignore[attr-defined]  # typeshed does not know it
    tar.pax_headers.clear()  # type: ignore[attr-defined]
    return member


def _check_end(stream: Unpacking) -> None:
    """Check that the archive ended where it says so: tarfile takes any damaged header but the first for the end."""
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a member's header is damaged, or the end is missing")
    # A compressed stream proves its checksum only when it has been read to its end.
    while rest := stream.take(PIECE):
        if rest.count(0) != len(rest):
            raise tarfile.ReadError("something follows its end")


def _zip_members(archive: Archive, budget: ExtractionLimit, names: ArchiveNames) -> Iterator[Member]:
    with _opened(archive) as opened:
        listed = opened.infolist()
        _check_list(archive, opened, listed)
        read = 0
        for member in listed:
            kind = stat.S_IFMT(member.external_attr >> 16)
            name = name_of(member, names.decoder)
            if name.endswith("/") and kind in {0, stat.S_IFDIR}:
                names.add_folder(name)
                continue
            if kind not in {0, stat.S_IFREG}:
                raise ArchiveRejectedError(f"its member {name!r} is a link or a device")
            check_method(name, member)
            read += member.compress_size
            yield Member(names.add_file(name), _zip_data(opened, member, budget, read))


def _opened(archive: Archive) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except zipfile.BadZipFile as exc:
        raise zipfile.BadZipFile(f"{exc}; it may have been cut, or be one part of several") from exc


def _zip_data(opened: zipfile.ZipFile, member: zipfile.ZipInfo, budget: ExtractionLimit, read: int) -> Iterator[bytes]:
    # Of other methods zipfile unpacks at once all that it read, at least these 4 KiB.
    piece = PIECE if member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} else 1 << 12
    with opened.open(member) as source:
        for data in _exactly(lambda size: source.read(min(size, piece)), member.file_size):
            budget.spend(len(data), read)
            yield data
        # Beyond its last byte, where the checksum is compared.
        if source.read(1):
            raise zipfile.BadZipFile("a member is longer than it says")


def _check_list(archive: Archive, opened: zipfile.ZipFile, listed: list[zipfile.ZipInfo]) -> None:
    """Check what zipfile lets pass: members that share their bytes or are not listed, and bytes after the end."""
    if len(listed) > limits.MAX_FILES:
        raise ArchiveRejectedError(f"it holds {len(listed):,} files and folders, and {limits.MAX_FILES:,} are the most")
    end = 0
    for member in sorted(listed, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise ArchiveRejectedError(f"its member {member.filename!r} shares its bytes with another")
        if not end and member.header_offset:
            raise zipfile.BadZipFile("something precedes its first member")
        end = member.header_offset + _LOCAL_HEADER + name_length(member) + member.compress_size
    if end > archive.bytes:
        raise zipfile.BadZipFile("a member is longer than the archive")
    archive.seek(-(_END_RECORD + len(opened.comment)), 2)
    record = archive.read(_END_RECORD)
    if not record.startswith(_ZIP_STARTS[1]):
        raise zipfile.BadZipFile("something follows its end")
    # 16 bits hold all that large zips say here; zip64 says 0xffff.
    if int.from_bytes(record[10:12], "little") not in {len(listed) & 0xFFFF, 0xFFFF}:
        raise zipfile.BadZipFile("its list of members is not whole")


def _exactly(take: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """A member's bytes: as many as it says, or an error."""
    if size < 0:
        raise tarfile.ReadError("a member's size is negative")
    while size:
        data = take(min(size, PIECE))
        if not data:
            raise EOFError("it ends in the middle of a member")
        size -= len(data)
        yield data
