"""Members of a zip: their names, whatever the program that wrote them, and the checks that zipfile does not make."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator

from tasks.download import limits
from tasks.download.legacy_names import NameDecoder
from tasks.download.limits import ArchiveRejectedError, ExtractionLimit
from tasks.download.members import PIECE, ArchiveFile, Member, read_exactly
from tasks.download.names import ArchiveNames

#: Bytes of a header before a member, without its name, and of the record that a zip ends with, without its comment.
_LOCAL_HEADER, _END_RECORD = 30, 22
_END_MAGIC = b"PK\x05\x06"
_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11
#: `create_system` of DOS and Windows, and of all systems whose programs write names in the encoding of DOS.
_FAT, _OEM = 0, frozenset({0, 6, 10, 11, 14})  # FAT, HPFS, NTFS by PKWARE and by Info-ZIP, VFAT
#: Tag of the extra field that has a name in UTF-8 (Info-ZIP Unicode Path).
_UNICODE_PATH = 0x7075
_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
#: APPNOTE.TXT of PKWARE, 4.4.5.
_METHODS = {
    **dict.fromkeys(range(2, 6), "Reduce"),
    **dict.fromkeys((20, 93), "Zstandard"),
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE DCL Implode",
    94: "MP3",
    95: "xz",
    96: "a JPEG variant",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}


def zip_members(archive: ArchiveFile, limit: ExtractionLimit, names: ArchiveNames) -> Iterator[Member]:
    """Read the files of a zip; see `archives.extract` for the errors."""
    with _open(archive) as opened:
        listed = opened.infolist()
        _check_list(archive, opened, listed)
        read = 0
        for member in listed:
            kind = stat.S_IFMT(member.external_attr >> 16)
            name = _name(member, names.decoder)
            if name.endswith("/") and kind in {0, stat.S_IFDIR}:
                names.add_folder(name)
                continue
            if kind not in {0, stat.S_IFREG}:
                raise ArchiveRejectedError(f"its member {name!r} is a link or a device")
            _check_method(name, member)
            read += member.compress_size
            yield Member(names.add_file(name), _read(opened, member, limit, read))


def is_last_part(tail: bytes) -> bool:
    """Whether these are the last bytes of a zip whose first members lie in other files."""
    at = tail.rfind(_END_MAGIC)
    # The number of its disk; zip64 says 0xffff.
    return at >= 0 and int.from_bytes(tail[at + 4 : at + 6], "little") not in {0, 0xFFFF}


def _open(archive: ArchiveFile) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except zipfile.BadZipFile as exc:
        raise zipfile.BadZipFile(f"{exc}; it may have been cut, or be one part of several") from exc


def _read(opened: zipfile.ZipFile, member: zipfile.ZipInfo, limit: ExtractionLimit, read: int) -> Iterator[bytes]:
    # With other methods zipfile unpacks at once all that it read, at least these 4 KiB.
    piece = PIECE if member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} else 1 << 12
    with opened.open(member) as source:
        for data in read_exactly(lambda size: source.read(min(size, piece)), member.file_size):
            limit.spend(len(data), read)
            yield data
        # zipfile compares the checksum where it reads beyond the last byte.
        if source.read(1):
            raise zipfile.BadZipFile("a member is longer than it says")


def _check_list(archive: ArchiveFile, opened: zipfile.ZipFile, listed: list[zipfile.ZipInfo]) -> None:
    """Reject members that share their bytes or are not listed, and bytes after the end: zipfile accepts them."""
    if len(listed) > limits.MAX_FILES:
        raise ArchiveRejectedError(f"it holds {len(listed):,} files and folders, and {limits.MAX_FILES:,} are the most")
    end = 0
    for member in sorted(listed, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise ArchiveRejectedError(f"its member {member.filename!r} shares its bytes with another")
        if not end and member.header_offset:
            raise zipfile.BadZipFile("something precedes its first member")
        name = member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")
        end = member.header_offset + _LOCAL_HEADER + len(name) + member.compress_size
    if end > archive.size:
        raise zipfile.BadZipFile("a member is longer than the archive")
    archive.seek(-(_END_RECORD + len(opened.comment)), 2)
    record = archive.read(_END_RECORD)
    if not record.startswith(_END_MAGIC):
        raise zipfile.BadZipFile("something follows its end")
    # 16 bits hold all that large zips say here; zip64 says 0xffff.
    if int.from_bytes(record[10:12], "little") not in {len(listed) & 0xFFFF, 0xFFFF}:
        raise zipfile.BadZipFile("its list of members is not whole")


def _check_method(name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise ArchiveRejectedError(
            f"its member {name!r} is encrypted",
            "Make an archive without a password, or extract it yourself and give the folder to --dataset",
        )
    if member.compress_type not in _READABLE:
        method = _METHODS.get(member.compress_type, "an unknown method")
        raise ArchiveRejectedError(
            f"its member {name!r} is packed by {method} (method {member.compress_type}), which cannot be read here",
            "Pack the archive anew with Deflate (7-Zip: -mm=Deflate) or as .tar.gz, or extract it yourself and give "
            "the folder to --dataset",
        )


def _name(member: zipfile.ZipInfo, decoder: NameDecoder) -> str:
    """Decode the name of a member, `/`-separated.

    Without the flag of UTF-8, zipfile takes any name for cp437. In truth it is UTF-8 where macOS or Info-ZIP wrote it,
    and otherwise in whatever encoding that machine had.
    """
    # zipfile cuts a name at a zero, other programs do not: the whole name is rejected for its control character.
    name = member.orig_filename
    if not member.flag_bits & _UTF8:
        raw = name.encode("cp437")
        name = _unicode_path(member.extra, raw) or decoder.decode(raw, oem=member.create_system in _OEM)
    # As unzip does: the .NET Framework, and so PowerShell 5, writes Windows' separator, and then no other.
    return name.replace("\\", "/") if member.create_system == _FAT and "/" not in name else name


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Find the extra field that has this name in UTF-8."""
    # zipfile has checked that the fields are whole.
    while len(extra) >= 4:
        tag, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if tag == _UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            try:
                return field[5:].decode()
            except UnicodeDecodeError:
                return None
    return None
