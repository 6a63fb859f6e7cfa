"""Members of a tar: read once from start to end, unpacked as it is read, a bounded piece at a time."""

import bz2
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from tasks.download.limits import ArchiveRejectedError, ExtractionLimit
from tasks.download.members import PIECE, Member, read_exactly
from tasks.download.names import ArchiveNames
from tasks.file_types import BZIP2, GZIP, XZ, FileType, other_type

#: Bytes that are read at once: few, as all but the first are copied for each of the streams that lie in them.
_INPUT_BYTES = 1 << 16
#: Bytes that tarfile may read to find a member: its header, its long name, its PAX headers.
_MAX_HEADER = 1 << 18
#: Memory that xz may need; `xz -9` needs 65 MiB.
_XZ_MEMORY = 1 << 28
#: Python below 3.11.10 takes quadratic time for a PAX header of digits (CVE-2024-6232); no number is so long.
_DIGITS = re.compile(rb"\d{100}")

_DECOMPRESSORS: dict[FileType, Callable[[], Any]] = {
    GZIP: lambda: zlib.decompressobj(wbits=31),
    BZIP2: bz2.BZ2Decompressor,
    XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
}


class DecompressedStream:
    """A file that tarfile reads headers from, and nothing else; `take` reads the members' bytes.

    Args:
        file: The archive, from its start.
        limit: Counts all bytes, those of headers and padding included.
    """

    def __init__(self, file: IO[bytes], limit: ExtractionLimit) -> None:
        found = other_type(file.read(6))
        file.seek(0)
        make = _DECOMPRESSORS.get(found) if found else None
        #: How the file is compressed; None where it is not.
        self.compression = found if make else None
        self._pieces = _decompress(file, make) if make else iter(lambda: file.read(PIECE), b"")
        self._file = file
        self._limit = limit
        self._piece = b""
        self._used = 0
        self._position = 0
        self._header_size = 0
        self.last_header = b""

    def take(self, size: int) -> bytes:
        """Read on: at least one byte and at most `size`, or nothing at the end."""
        if self._used == len(self._piece):
            self._piece, self._used = next(self._pieces, b""), 0
            self._limit.spend(len(self._piece), self._file.tell())
        data = self._piece[self._used : self._used + size]
        self._used += len(data)
        self._position += len(data)
        return data

    def begin_member(self) -> None:
        """Allow tarfile to read the headers of one more member."""
        self._header_size = 0

    def read(self, size: int) -> bytes:
        """Read a header, for tarfile."""
        self._header_size += size
        if size < 0 or self._header_size > _MAX_HEADER:
            raise tarfile.ReadError("a member's header is longer than any name needs")
        self.last_header = b"".join(read_exactly(self.take, size))
        if _DIGITS.search(self.last_header):
            raise tarfile.ReadError("a member's header is invalid")
        return self.last_header

    def seek(self, position: int) -> int:
        """Skip to a position, for tarfile; there is no way back."""
        if position < self._position:
            raise tarfile.ReadError("a member's size is negative")
        last = self.last_header
        self.read(position - self._position)
        self.last_header = last
        return self._position

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._position


def _decompress(file: IO[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Decompress a file of one stream or more, between and after which there may be zeros."""
    data = file.read(_INPUT_BYTES)
    while data:
        decompressor = make()
        while not decompressor.eof:
            # zlib hands back the input that it did not need; the others keep it.
            if not data and getattr(decompressor, "needs_input", True) and not (data := file.read(_INPUT_BYTES)):
                raise EOFError("it ends in the middle")
            if piece := decompressor.decompress(data, PIECE):
                yield piece
            data = getattr(decompressor, "unconsumed_tail", b"")
        data = decompressor.unused_data
        while not (data := data.lstrip(b"\0")) and (data := file.read(_INPUT_BYTES)):
            pass


def tar_members(archive: IO[bytes], limit: ExtractionLimit, names: ArchiveNames) -> Iterator[Member]:
    """Read the files of a tar; see `archives.extract` for the errors."""
    stream = DecompressedStream(archive, limit)
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:", encoding="utf-8") as tar:
        while member := _next_member(tar, stream):
            name = _decode(member.name, names)
            if member.isdir():
                names.add_folder(name)
            elif member.islnk():
                target = _decode(member.linkname, names)
                if (earlier := names.find(target)) is None:
                    raise ArchiveRejectedError(
                        f"its member {name!r} is a hard link to {target!r}, and no such file comes before it in the "
                        "archive"
                    )
                size = earlier.size or 0
                # These bytes are written once more, and come from nothing that is read.
                limit.spend(size, archive.tell())
                yield Member(names.add_file(name, size), iter(()), earlier.path)
            elif not member.isreg() or member.issparse() or member.type == tarfile.GNUTYPE_SPARSE:
                raise ArchiveRejectedError(f"its member {name!r} is a symbolic link, a device or a sparse file")
            else:
                path = names.add_file(name, member.size)
                stream.seek(member.offset_data)
                yield Member(path, read_exactly(stream.take, member.size))
    _check_end(stream)


def _decode(name: str, names: ArchiveNames) -> str:
    """Decode a name; tarfile writes bytes that are not UTF-8 as lone surrogates."""
    try:
        return name if name.isascii() else names.decoder.decode(name.encode("utf-8", "surrogateescape"), oem=False)
    except UnicodeEncodeError:
        return name


def _next_member(tar: tarfile.TarFile, stream: DecompressedStream) -> tarfile.TarInfo | None:
    stream.begin_member()
    member = tar.next()
    # tarfile keeps a list of all members, and copies all global headers for each member that follows.
    tar.members.clear()  # type: ignore[attr-defined]  # typeshed does not know it
    tar.pax_headers.clear()  # type: ignore[attr-defined]
    return member


def _check_end(stream: DecompressedStream) -> None:
    """Check that the archive ends where it says so: tarfile takes any damaged header but the first for the end."""
    if stream.last_header != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("a member's header is damaged, or the end is missing")
    # A compressed stream verifies its checksum only when it has been read to its end.
    while rest := stream.take(PIECE):
        if rest.count(0) != len(rest):
            raise tarfile.ReadError("something follows its end")
